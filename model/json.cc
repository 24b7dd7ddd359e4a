#include "model/json.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/mapped_file.h"

namespace facet {
namespace {

using Json = nlohmann::json;

constexpr int kMaxTokenId = 1 << 30;

// Notices an object that has a key twice while the parser runs; a parser callback.
class DuplicateKeys {
 public:
  void See(Json::parse_event_t event, const Json& parsed) {
    if (event == Json::parse_event_t::object_start) {
      open_.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      open_.pop_back();
    } else if (event == Json::parse_event_t::key) {
      const std::string& key = parsed.get_ref<const std::string&>();
      if (!open_.back().insert(key).second && !found_) found_ = key;
    }
  }
  const std::optional<std::string>& found() const { return found_; }

 private:
  std::vector<std::set<std::string>> open_;
  std::optional<std::string> found_;
};

const Json& EmptyObject() {
  static const Json empty = Json::object();
  return empty;
}

}  // namespace

JsonShape ShapeOfJson(absl::string_view text, int max_depth) {
  constexpr int kArray = -1;
  JsonShape shape;
  std::vector<int> open;  // the members of each open object so far
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      shape.too_deep = static_cast<int>(open.size()) == max_depth;
      if (shape.too_deep) return shape;
      open.push_back(c == '{' ? 0 : kArray);
    } else if ((c == ']' || c == '}') && !open.empty()) {
      open.pop_back();
    } else if (c == ':' && !open.empty() && open.back() != kArray) {
      shape.most_members = std::max(shape.most_members, ++open.back());
    }
  }
  return shape;
}

absl::StatusOr<Json> ParseJson(absl::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("JSON of ", text.size(), " bytes, at most ",
                                                   limits.max_bytes, " are accepted"));
  }
  if (ShapeOfJson(text, limits.max_depth).too_deep) {
    return absl::InvalidArgumentError(
        absl::StrCat("JSON nested deeper than ", limits.max_depth, " levels"));
  }
  if (text.find('\0') != text.npos) {  // the parser would take it for the end
    return absl::InvalidArgumentError("not valid JSON: there is a zero byte in it");
  }
  DuplicateKeys duplicates;
  Json value;
  try {
    value =
        Json::parse(text.begin(), text.end(), [&](int, Json::parse_event_t event, Json& parsed) {
          duplicates.See(event, parsed);
          return true;
        });
  } catch (const Json::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat("not valid JSON: ", e.what()));
  }
  if (duplicates.found()) {
    return absl::InvalidArgumentError(
        absl::StrCat("JSON key ", Excerpt(*duplicates.found()), " occurs twice in one object"));
  }
  return value;
}

absl::StatusOr<Json> ReadJsonFile(const std::string& path, const JsonLimits& limits) {
  FACET_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, limits.max_bytes));
  absl::StatusOr<Json> value = ParseJson(text, limits);
  if (!value.ok()) return Annotate(value.status(), path);
  return value;
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) return Annotate(file.status(), path);
  const size_t size = file->bytes().size();
  if (size > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", size, " bytes, at most ", max_bytes, " are accepted"));
  }
  std::string text(size, '\0');
  const absl::Status read = file->ReadAt(0, absl::MakeSpan(text));
  if (!read.ok()) return Annotate(read, path);
  return text;
}

std::string Excerpt(const Json& value) {
  constexpr size_t kMaxLength = 60;
  // Only the outside of a container: its text may be as long as the file.
  if (value.is_object()) return absl::StrCat("an object of ", value.size(), " members");
  if (value.is_array()) return absl::StrCat("a list of ", value.size(), " values");
  const auto dump = [](const Json& v) {
    return v.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  };
  if (value.is_string() && value.get_ref<const std::string&>().size() > kMaxLength) {
    return dump(value.get_ref<const std::string&>().substr(0, kMaxLength)) + "...";
  }
  return dump(value);
}

absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  return absl::Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

JsonObject::JsonObject(const Json& value, absl::Status& error) : JsonObject(value, error, "") {}

JsonObject::JsonObject(const Json& value, absl::Status& error, std::string path)
    : value_(&value), error_(&error), path_(std::move(path)) {
  if (value.is_object()) return;
  value_ = &EmptyObject();
  if (!error.ok()) return;
  const std::string problem = Excerpt(value) + " where an object is expected";
  error = absl::InvalidArgumentError(
      path_.empty() ? problem : absl::StrCat(path_.substr(0, path_.size() - 1), ": ", problem));
}

void JsonObject::Fail(absl::string_view key, absl::string_view problem) const {
  if (error_->ok()) {
    *error_ = absl::InvalidArgumentError(absl::StrCat(path_, key, ": ", problem));
  }
}

const Json* JsonObject::Find(absl::string_view key) const {
  const auto it = value_->find(std::string(key));
  return it == value_->end() || it->is_null() ? nullptr : &*it;
}

bool JsonObject::HasKey(absl::string_view key) const {
  return value_->find(std::string(key)) != value_->end();
}

std::vector<std::string> JsonObject::Keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : value_->items()) keys.push_back(key);
  return keys;
}

void JsonObject::AllowOnly(std::initializer_list<absl::string_view> keys) const {
  for (const std::string& key : Keys()) {
    if (std::find(keys.begin(), keys.end(), absl::string_view(key)) == keys.end()) {
      Fail(Quoted(key), "is not supported here");
    }
  }
}

const Json* JsonObject::Require(absl::string_view key) const {
  const Json* value = Find(key);
  if (value == nullptr) Fail(key, "missing");
  return value;
}

JsonObject JsonObject::Object(absl::string_view key) const {
  const Json* value = Require(key);
  return JsonObject(value == nullptr ? EmptyObject() : *value, *error_,
                    absl::StrCat(path_, key, "."));
}

int JsonObject::ToInt(absl::string_view key, const Json& value, int min, int max) const {
  const std::string allowed =
      absl::StrCat(" where an integer from ", min, " to ", max, " is expected");
  if (!value.is_number_integer()) {
    Fail(key, Excerpt(value) + allowed);
    return min;
  }
  const int64_t number =
      value.is_number_unsigned()
          ? static_cast<int64_t>(std::min<uint64_t>(value.get<uint64_t>(), INT64_MAX))
          : value.get<int64_t>();
  if (number < min || number > max) {
    Fail(key, Excerpt(value) + allowed);
    return min;
  }
  return static_cast<int>(number);
}

double JsonObject::ToDouble(absl::string_view key, const Json& value, double min,
                            double max) const {
  if (value.is_number()) {
    const double number = value.get<double>();
    if (number >= min && number <= max) return number;
  }
  Fail(key,
       absl::StrCat(Excerpt(value), " where a number from ", min, " to ", max, " is expected"));
  return min;
}

int JsonObject::Int(absl::string_view key, int min, int max) const {
  const Json* value = Require(key);
  return value == nullptr ? min : ToInt(key, *value, min, max);
}

int JsonObject::Int(absl::string_view key, int min, int max, int if_absent) const {
  const Json* value = Find(key);
  return value == nullptr ? if_absent : ToInt(key, *value, min, max);
}

double JsonObject::Double(absl::string_view key, double min, double max) const {
  const Json* value = Require(key);
  return value == nullptr ? min : ToDouble(key, *value, min, max);
}

double JsonObject::Double(absl::string_view key, double min, double max, double if_absent) const {
  const Json* value = Find(key);
  return value == nullptr ? if_absent : ToDouble(key, *value, min, max);
}

bool JsonObject::Bool(absl::string_view key, bool if_absent) const {
  const Json* value = Find(key);
  if (value == nullptr) return if_absent;
  if (value->is_boolean()) return value->get<bool>();
  Fail(key, Excerpt(*value) + " where true or false is expected");
  return if_absent;
}

std::string JsonObject::String(absl::string_view key) const {
  return Require(key) == nullptr ? "" : String(key, "");
}

std::string JsonObject::String(absl::string_view key, absl::string_view if_absent) const {
  const Json* value = Find(key);
  if (value == nullptr) return std::string(if_absent);
  if (value->is_string()) return value->get<std::string>();
  Fail(key, Excerpt(*value) + " where a string is expected");
  return std::string(if_absent);
}

std::optional<int> JsonObject::TokenId(absl::string_view key, int vocab_size) const {
  const int id = Int(key, 0, kMaxTokenId, /*if_absent=*/kMaxTokenId);
  return id < vocab_size ? std::optional<int>(id) : std::nullopt;
}

std::vector<int> JsonObject::TokenIds(absl::string_view key, int vocab_size,
                                      size_t max_size) const {
  const Json* value = Find(key);
  if (value == nullptr) return {};
  const Json list = value->is_array() ? *value : Json::array({*value});
  if (list.size() > max_size) {
    Fail(key, absl::StrCat(Excerpt(list), ", at most ", max_size, " are accepted"));
    return {};
  }
  std::set<int> ids;
  for (const Json& element : list) {
    const int id = ToInt(key, element, 0, kMaxTokenId);
    if (id < vocab_size) ids.insert(id);
  }
  return {ids.begin(), ids.end()};
}

}  // namespace facet
