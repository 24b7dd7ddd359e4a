#include "services/client/flag_set.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace facet {
namespace {

template <typename Value, typename Parse>
std::function<bool(const std::string&)> Setter(std::optional<Value>* out, Parse parse) {
  return [out, parse](const std::string& text) {
    Value value{};
    if (!parse(text, &value)) return false;
    *out = std::move(value);
    return true;
  };
}

}  // namespace

bool ParseIds(const std::string& text, std::vector<int32_t>* out) {
  out->clear();
  for (const absl::string_view part :
       absl::StrSplit(text, absl::ByAnyChar(", \t\n"), absl::SkipEmpty())) {
    int32_t id = 0;
    if (!absl::SimpleAtoi(part, &id)) return false;
    out->push_back(id);
  }
  return !out->empty();
}

void FlagSet::Text(const std::string& name, const std::string& value, const std::string& help,
                   std::optional<std::string>* out) {
  flags_.push_back({name, value, help, false, [out](const std::string& text) {
                      *out = text;
                      return true;
                    }});
}

void FlagSet::TextList(const std::string& name, const std::string& value, const std::string& help,
                       std::vector<std::string>* out) {
  flags_.push_back({name, value, help, true, [out](const std::string& text) {
                      out->push_back(text);
                      return true;
                    }});
}

void FlagSet::Int(const std::string& name, const std::string& value, const std::string& help,
                  std::optional<int32_t>* out) {
  flags_.push_back({name, value, help, false, Setter(out, [](const auto& text, int32_t* number) {
                      return absl::SimpleAtoi(text, number);
                    })});
}

void FlagSet::Uint64(const std::string& name, const std::string& value, const std::string& help,
                     std::optional<uint64_t>* out) {
  flags_.push_back({name, value, help, false, Setter(out, [](const auto& text, uint64_t* number) {
                      return absl::SimpleAtoi(text, number);
                    })});
}

void FlagSet::Number(const std::string& name, const std::string& value, const std::string& help,
                     std::optional<double>* out) {
  flags_.push_back({name, value, help, false, Setter(out, [](const auto& text, double* number) {
                      return absl::SimpleAtod(text, number);
                    })});
}

void FlagSet::IntList(const std::string& name, const std::string& value, const std::string& help,
                      std::optional<std::vector<int32_t>>* out) {
  flags_.push_back({name, value, help, false, Setter(out, ParseIds)});
}

void FlagSet::Switch(const std::string& name, const std::string& help, bool* out) {
  flags_.push_back({name, "", help, false, [out](const std::string& text) {
                      if (text != "true" && text != "false") return false;
                      *out = text == "true";
                      return true;
                    }});
}

const FlagSet::Flag* FlagSet::Find(const std::string& name) const {
  std::string dashed = name;
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  for (const Flag& flag : flags_) {
    if (flag.name == dashed) return &flag;
  }
  return nullptr;
}

absl::Status FlagSet::Parse(absl::Span<const std::string> arguments,
                            std::vector<std::string>* positional, bool* help) const {
  *help = false;
  std::set<const Flag*> seen;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      positional->insert(positional->end(), arguments.begin() + i + 1, arguments.end());
      break;
    }
    if (argument == "--help" || argument == "-h") {
      *help = true;
      break;
    }
    if (argument.size() < 3 || argument.compare(0, 2, "--") != 0) {
      positional->push_back(argument);
      continue;
    }
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    const Flag* flag = Find(name);
    if (flag == nullptr) return absl::InvalidArgumentError(absl::StrCat("unknown flag --", name));
    if (!seen.insert(flag).second && !flag->repeats) {
      return absl::InvalidArgumentError(absl::StrCat("--", flag->name, " is given twice"));
    }
    std::string value = "true";
    if (equals != std::string::npos) {
      value = argument.substr(equals + 1);
    } else if (!flag->value.empty()) {
      if (++i == arguments.size()) {
        return absl::InvalidArgumentError(
            absl::StrCat("--", flag->name, " needs a value: ", flag->value));
      }
      value = arguments[i];
    }
    if (!flag->set(value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag->name, ": '", value, "' is no ",
                       flag->value.empty() ? "true or false" : flag->value));
    }
  }
  return absl::OkStatus();
}

std::string FlagSet::Help() const {
  std::string out;
  for (const Flag& flag : flags_) {
    const std::string left =
        absl::StrCat("--", flag.name, flag.value.empty() ? "" : " ", flag.value);
    absl::StrAppendFormat(&out, "  %-28s %s%s\n", left, flag.help,
                          flag.repeats ? " (may be repeated)" : "");
  }
  return out;
}

}  // namespace facet
