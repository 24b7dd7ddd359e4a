#ifndef FACET_SERVICES_GATEWAY_OPENAI_JSON_FIELDS_H_
#define FACET_SERVICES_GATEWAY_OPENAI_JSON_FIELDS_H_

// Reads the fields of JSON objects. Every error is InvalidArgument, names the field by its path
// ("messages[2].content"), its value and what is allowed, and carries the path (FieldOf).

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace facet {

// Keeps the order of members: schemas and arguments mean it.
using Json = nlohmann::ordered_json;

// InvalidArgument says where the text stops being JSON. Objects and arrays may be nested 100 deep,
// an object may have 10,000 fields.
absl::StatusOr<Json> ParseJson(absl::string_view text);

absl::Status FieldError(const std::string& path, absl::string_view problem);
// The same status, carrying the path of a field.
absl::Status WithField(absl::Status status, const std::string& path);
// The path that a FieldError carries; empty: none.
std::string FieldOf(const absl::Status& status);
// A value as messages show it: JSON, cut where it gets long.
std::string Shown(const Json& value);
// The path of element `index` of the array at `path`.
std::string ElementPath(const std::string& path, size_t index);

// One object of a request. `value` must outlive it. A field that is null counts as absent.
class JsonFields {
 public:
  static absl::StatusOr<JsonFields> Of(const Json& value, std::string path);

  std::string Path(absl::string_view name) const;
  // nullptr: absent.
  const Json* Find(absl::string_view name) const;

  // nullopt: absent.
  absl::StatusOr<std::optional<bool>> Bool(absl::string_view name) const;
  absl::StatusOr<std::optional<int64_t>> Integer(absl::string_view name, int64_t low,
                                                 int64_t high) const;
  absl::StatusOr<std::optional<double>> Number(absl::string_view name, double low,
                                               double high) const;
  absl::StatusOr<std::optional<std::string>> Text(absl::string_view name) const;
  absl::StatusOr<std::string> RequiredText(absl::string_view name) const;
  // An array; nullptr: absent.
  absl::StatusOr<const Json*> Array(absl::string_view name) const;

  // Refuses every field that is present and not among `known`.
  absl::Status RefuseOthers(const std::set<std::string>& known) const;
  // Refuses the field if it is present, for this reason.
  absl::Status Refuse(absl::string_view name, absl::string_view reason) const;

 private:
  JsonFields(const Json& value, std::string path) : value_(&value), path_(std::move(path)) {}
  absl::Status WrongType(absl::string_view name, const Json& value, absl::string_view want) const;

  const Json* value_;
  std::string path_;  // empty: the request itself
};

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_OPENAI_JSON_FIELDS_H_
