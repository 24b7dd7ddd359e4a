#ifndef FACET_SERVICES_CLIENT_FLAG_SET_H_
#define FACET_SERVICES_CLIENT_FLAG_SET_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace facet {

// The flags of one sub-command. (Abseil's flags belong to the whole program and cannot repeat;
// those of `generate` must not be accepted by `models`.)
//
//   FlagSet flags;
//   flags.Text("prompt", "TEXT", "the prompt", &prompt);
//   flags.Switch("json", "print one JSON object", &json);
//   FACET_RETURN_IF_ERROR(flags.Parse(arguments, &positional, &help));
//
// Accepted: `--name value`, `--name=value`, underscores for dashes in names. The word behind a flag
// is its value whatever it begins with, the empty word too. A switch takes no value, or `=true` /
// `=false`. A bare `--` ends the flags. `--help` or `-h` asks for help: what follows is not looked
// at. Thread-compatible; the variables must outlive Parse.
class FlagSet {
 public:
  void Text(const std::string& name, const std::string& value, const std::string& help,
            std::optional<std::string>* out);
  // May come more than once.
  void TextList(const std::string& name, const std::string& value, const std::string& help,
                std::vector<std::string>* out);
  // Within int32_t.
  void Int(const std::string& name, const std::string& value, const std::string& help,
           std::optional<int32_t>* out);
  void Uint64(const std::string& name, const std::string& value, const std::string& help,
              std::optional<uint64_t>* out);
  void Number(const std::string& name, const std::string& value, const std::string& help,
              std::optional<double>* out);
  // Integers separated by commas: "1,2,3"; also by blanks.
  void IntList(const std::string& name, const std::string& value, const std::string& help,
               std::optional<std::vector<int32_t>>* out);
  void Switch(const std::string& name, const std::string& help, bool* out);

  // InvalidArgument for an unknown flag, a flag without its value, one that comes twice and may
  // not, or a value that does not parse. Words that are no flag go to *positional.
  absl::Status Parse(absl::Span<const std::string> arguments, std::vector<std::string>* positional,
                     bool* help) const;

  // One line for each flag.
  std::string Help() const;

 private:
  struct Flag {
    std::string name;
    std::string value;  // empty: a switch
    std::string help;
    bool repeats = false;
    std::function<bool(const std::string&)> set;  // false: it does not parse
  };

  const Flag* Find(const std::string& name) const;

  std::vector<Flag> flags_;
};

// "1,2,3" or "1 2 3". False if a part is no integer of 32 bits, or there is none.
bool ParseIds(const std::string& text, std::vector<int32_t>* out);

}  // namespace facet

#endif  // FACET_SERVICES_CLIENT_FLAG_SET_H_
