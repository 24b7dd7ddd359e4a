#ifndef FACET_MODEL_JSON_H_
#define FACET_MODEL_JSON_H_

// Reading JSON that may be wrong in any way: bounded in size and depth, no duplicate keys, no
// exceptions, and errors that name the key, its value and what is allowed.

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace facet {

struct JsonLimits {
  size_t max_bytes = size_t{4} << 20;
  int max_depth = 32;  // of arrays and objects in one another
};

// What a parser would make of a text. To be asked before it is parsed, so that "[[[[..." costs
// neither memory nor stack.
struct JsonShape {
  bool too_deep = false;  // the rest is of what stands before that place
  int most_members = 0;   // of one object
};

// Linear; any text will do. `max_depth`: of arrays and objects in one another.
JsonShape ShapeOfJson(absl::string_view text, int max_depth);

// InvalidArgument: longer or deeper than `limits`, not JSON (with the place), or an object that has
// a key twice.
absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text, const JsonLimits& limits = {});

// As ParseJson, of a whole file; messages start with `path`. NotFound if there is no such file.
absl::StatusOr<nlohmann::json> ReadJsonFile(const std::string& path, const JsonLimits& limits = {});

// A whole regular file. NotFound if there is none, InvalidArgument if it is longer than `max_bytes`
// or no regular file.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes);

// Reads the members of one JSON object. The first thing that is wrong is kept in `error`, which all
// readers of one document share, and every read that fails returns the least allowed value, so that
// a whole document needs one check at its end:
//
//   absl::Status error;
//   JsonObject in(json, error);
//   const int layers = in.Int("num_hidden_layers", 1, 1024);
//   const double theta = in.Object("rope").Double("theta", 1, 1e12);
//   FACET_RETURN_IF_ERROR(error);
//
// A member that is null counts as absent. Borrows the JSON value and `error`; cheap to copy.
// Thread-compatible.
class JsonObject {
 public:
  // A value that is no object is an error.
  JsonObject(const nlohmann::json& value, absl::Status& error);

  // Keeps an error about `key`, with the path to it in front, unless there is one already.
  void Fail(absl::string_view key, absl::string_view problem) const;

  // nullptr: absent or null.
  const nlohmann::json* Find(absl::string_view key) const;
  bool Has(absl::string_view key) const { return Find(key) != nullptr; }
  // Present, be it as null.
  bool HasKey(absl::string_view key) const;
  std::vector<std::string> Keys() const;
  // An error unless every key is one of these.
  void AllowOnly(std::initializer_list<absl::string_view> keys) const;

  // A member without a default must be present.
  JsonObject Object(absl::string_view key) const;
  int Int(absl::string_view key, int min, int max) const;
  int Int(absl::string_view key, int min, int max, int if_absent) const;
  double Double(absl::string_view key, double min, double max) const;
  double Double(absl::string_view key, double min, double max, double if_absent) const;
  bool Bool(absl::string_view key, bool if_absent) const;
  std::string String(absl::string_view key) const;
  std::string String(absl::string_view key, absl::string_view if_absent) const;
  // A token id. One that the vocabulary does not hold counts as absent: small models keep the ids
  // of large ones in their files.
  std::optional<int> TokenId(absl::string_view key, int vocab_size) const;
  // One token id, or a list of at most `max_size`; absent: empty. Sorted, distinct, and without ids
  // that the vocabulary does not hold.
  std::vector<int> TokenIds(absl::string_view key, int vocab_size, size_t max_size) const;

 private:
  JsonObject(const nlohmann::json& value, absl::Status& error, std::string path);
  const nlohmann::json* Require(absl::string_view key) const;
  int ToInt(absl::string_view key, const nlohmann::json& value, int min, int max) const;
  double ToDouble(absl::string_view key, const nlohmann::json& value, double min, double max) const;

  const nlohmann::json* value_;  // always an object
  absl::Status* error_;
  std::string path_;  // "" or "outer.inner."
};

// `status` with `context` and a colon before its message.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

// A value as it appears in a message: one line of ASCII, at most some hundreds of characters.
std::string Excerpt(const nlohmann::json& value);
inline std::string Quoted(absl::string_view text) {
  return Excerpt(nlohmann::json(std::string(text)));
}

}  // namespace facet

#endif  // FACET_MODEL_JSON_H_
