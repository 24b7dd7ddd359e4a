#include "services/gateway/openai/json_fields.h"

#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/json.h"

namespace facet {
namespace {

constexpr char kFieldPayload[] = "facet/field";
constexpr int kMaxDepth = 100;
constexpr int kMaxMembers = 10000;
constexpr size_t kMaxShownBytes = 80;

}  // namespace

absl::StatusOr<Json> ParseJson(absl::string_view text) {
  // The library writes values recursively, and looks a key up by going through those of its object.
  const JsonShape shape = ShapeOfJson(text, kMaxDepth);
  if (shape.too_deep) {
    return FieldError("", absl::StrCat("the body is nested deeper than ", kMaxDepth));
  }
  if (shape.most_members > kMaxMembers) {
    return FieldError("",
                      absl::StrCat("an object of the body has more than ", kMaxMembers, " fields"));
  }
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const Json::parse_error& error) {
    return FieldError("", absl::StrCat("the body is not valid JSON: byte ", error.byte));
  } catch (const Json::exception&) {
    return FieldError("", "the body is not valid JSON: a number is too large");
  }
}

absl::Status FieldError(const std::string& path, absl::string_view problem) {
  if (path.empty()) return absl::InvalidArgumentError(problem);
  return WithField(absl::InvalidArgumentError(absl::StrCat(path, ": ", problem)), path);
}

absl::Status WithField(absl::Status status, const std::string& path) {
  if (!path.empty()) status.SetPayload(kFieldPayload, absl::Cord(path));
  return status;
}

std::string FieldOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kFieldPayload);
  return payload.has_value() ? std::string(*payload) : "";
}

std::string Shown(const Json& value) {
  if (value.is_array()) return absl::StrCat("an array of ", value.size());
  if (value.is_object()) return "an object";
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() <= kMaxShownBytes) return text;
  size_t end = kMaxShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;  // a whole UTF-8
  return absl::StrCat(text.substr(0, end), "...");
}

std::string ElementPath(const std::string& path, size_t index) {
  return absl::StrCat(path, "[", index, "]");
}

absl::StatusOr<JsonFields> JsonFields::Of(const Json& value, std::string path) {
  if (!value.is_object()) {
    return FieldError(path, absl::StrCat(path.empty() ? "the body is " : "", Shown(value),
                                         path.empty() ? ", not an object" : " is not an object"));
  }
  return JsonFields(value, std::move(path));
}

std::string JsonFields::Path(absl::string_view name) const {
  return path_.empty() ? std::string(name) : absl::StrCat(path_, ".", name);
}

const Json* JsonFields::Find(absl::string_view name) const {
  const auto it = value_->find(std::string(name));
  return it == value_->end() || it->is_null() ? nullptr : &*it;
}

absl::Status JsonFields::WrongType(absl::string_view name, const Json& value,
                                   absl::string_view want) const {
  return FieldError(Path(name), absl::StrCat(Shown(value), " is not ", want));
}

absl::StatusOr<std::optional<bool>> JsonFields::Bool(absl::string_view name) const {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) return WrongType(name, *value, "true or false");
  return value->get<bool>();
}

absl::StatusOr<std::optional<int64_t>> JsonFields::Integer(absl::string_view name, int64_t low,
                                                           int64_t high) const {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  const std::string range = absl::StrCat("an integer from ", low, " to ", high);
  int64_t number = 0;
  if (value->is_number_unsigned() && value->get<uint64_t>() > uint64_t{INT64_MAX}) {
    return WrongType(name, *value, range);
  } else if (value->is_number_integer()) {
    number = value->get<int64_t>();
  } else if (value->is_number_float() && std::abs(value->get<double>()) < 9e15 &&
             std::floor(value->get<double>()) == value->get<double>()) {
    number = static_cast<int64_t>(value->get<double>());  // 16.0, as some languages write it
  } else {
    return WrongType(name, *value, range);
  }
  if (number < low || number > high) return WrongType(name, *value, range);
  return number;
}

absl::StatusOr<std::optional<double>> JsonFields::Number(absl::string_view name, double low,
                                                         double high) const {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || !(value->get<double>() >= low) || !(value->get<double>() <= high)) {
    return WrongType(name, *value,
                     high == std::numeric_limits<double>::infinity()
                         ? absl::StrCat("a number of at least ", low)
                         : absl::StrCat("a number from ", low, " to ", high));
  }
  return value->get<double>();
}

absl::StatusOr<std::optional<std::string>> JsonFields::Text(absl::string_view name) const {
  const Json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return WrongType(name, *value, "a string");
  return value->get<std::string>();
}

absl::StatusOr<std::string> JsonFields::RequiredText(absl::string_view name) const {
  FACET_ASSIGN_OR_RETURN(std::optional<std::string> text, Text(name));
  if (!text.has_value()) return FieldError(Path(name), "is missing: a string");
  return *std::move(text);
}

absl::StatusOr<const Json*> JsonFields::Array(absl::string_view name) const {
  const Json* value = Find(name);
  if (value != nullptr && !value->is_array()) return WrongType(name, *value, "an array");
  return value;
}

absl::Status JsonFields::RefuseOthers(const std::set<std::string>& known) const {
  for (const auto& [name, value] : value_->items()) {
    if (!value.is_null() && known.count(name) == 0) {
      return FieldError(Path(name.substr(0, kMaxShownBytes)), "is not a field of this request");
    }
  }
  return absl::OkStatus();
}

absl::Status JsonFields::Refuse(absl::string_view name, absl::string_view reason) const {
  if (Find(name) == nullptr) return absl::OkStatus();
  return FieldError(Path(name), reason);
}

}  // namespace facet
