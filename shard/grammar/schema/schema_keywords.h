#ifndef FACET_SHARD_GRAMMAR_SCHEMA_SCHEMA_KEYWORDS_H_
#define FACET_SHARD_GRAMMAR_SCHEMA_SCHEMA_KEYWORDS_H_

// The keywords of JSON schemas by what they speak of, and JSON pointers.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace facet {

using SchemaJson = nlohmann::ordered_json;
using SchemaTypes = std::set<std::string>;

inline constexpr size_t kMaxSchemaBytes = 256 << 10;
inline constexpr int kMaxSchemaMembers = 2000;  // of one object: looking for one of them is linear
inline constexpr int kMaxSchemaDepth = 64;
inline constexpr int64_t kMaxSchemaCount = 1000;   // of items, properties, values of an enum
inline constexpr int64_t kMaxSchemaLength = 4096;  // of strings

// Says nothing of a value; OpenAPI's words among them.
bool IsAnnotation(const std::string& keyword);
// Of the values of one type: "object", "array", "string", "number"; empty: of none.
std::string TypeOfKeyword(const std::string& keyword);
// $ref, anyOf, oneOf, allOf, enum, const: says by itself what a value is.
bool IsWhole(const std::string& keyword);
// Whether a schema has keywords of this type.
bool SpeaksOf(const SchemaJson& schema, absl::string_view type);
// Whether it has no keyword but annotations and `except`.
bool SaysNothingBut(const SchemaJson& schema, absl::string_view except);
bool IsFalse(const SchemaJson& schema);
// The values of const or enum, as an array; nullopt: it lists none.
std::optional<SchemaJson> Listed(const SchemaJson& schema);

// Of a value; "integer" for every whole number.
std::string TypeOfValue(const SchemaJson& value);

// The pointer of a member.
std::string Below(absl::string_view pointer, absl::string_view key);
// InvalidArgument: "POINTER: why".
absl::Status RefuseAt(absl::string_view pointer, absl::string_view why);
// Both parts of such an error.
std::pair<std::string, std::string> PointerAndReason(const absl::Status& refusal);

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_SCHEMA_SCHEMA_KEYWORDS_H_
