#include "shard/grammar/schema/schema_document.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"
#include "model/json.h"

namespace facet {
namespace {

bool Unescape(const std::string& part, std::string* key) {
  std::string bytes;
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] != '%') {
      bytes.push_back(part[i]);
      continue;
    }
    uint32_t byte = 0;
    if (i + 2 >= part.size() || !absl::SimpleHexAtoi(part.substr(i + 1, 2), &byte)) return false;
    bytes.push_back(static_cast<char>(byte));
    i += 2;
  }
  *key = absl::StrReplaceAll(bytes, {{"~1", "/"}, {"~0", "~"}});
  return true;
}

}  // namespace

absl::StatusOr<SchemaDocument> SchemaDocument::Parse(absl::string_view text) {
  if (text.size() > kMaxSchemaBytes) {
    return RefuseAt(
        "", absl::StrCat("the schema has ", text.size(), " bytes; the limit is ", kMaxSchemaBytes));
  }
  const JsonShape shape = ShapeOfJson(text, 4 * kMaxSchemaDepth);
  if (shape.too_deep) return RefuseAt("", "the schema is nested too deep");
  if (shape.most_members > kMaxSchemaMembers) {
    return RefuseAt("", absl::StrCat("an object of the schema has ", shape.most_members,
                                     " members; the limit is ", kMaxSchemaMembers));
  }
  SchemaJson root =
      SchemaJson::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded()) return RefuseAt("", "the schema is not valid JSON");
  return SchemaDocument(std::move(root));
}

absl::StatusOr<std::pair<const SchemaJson*, std::string>> SchemaDocument::Resolve(
    const SchemaJson& reference, const std::string& pointer) const {
  if (!reference.is_string()) return RefuseAt(pointer, "must be a string");
  const auto text = reference.get<std::string>();
  if (text != "#" && !absl::StartsWith(text, "#/")) {
    return RefuseAt(pointer, "only references within the schema (#, #/..) are supported");
  }
  const SchemaJson* at = &root_;
  std::string canonical;
  size_t begin = 1;
  while (begin < text.size()) {
    const size_t end = std::min(text.find('/', begin + 1), text.size());
    std::string key;
    if (!Unescape(text.substr(begin + 1, end - begin - 1), &key)) {
      return RefuseAt(pointer, "a malformed reference");
    }
    begin = end;
    size_t index = 0;
    if (at->is_object() && at->contains(key)) {
      at = &(*at)[key];
    } else if (at->is_array() && absl::SimpleAtoi(key, &index) && index < at->size()) {
      at = &(*at)[index];
    } else {
      return RefuseAt(pointer, absl::StrCat("leads nowhere: ", text));
    }
    canonical = Below(canonical, key);
    if (at->is_object() && at->contains("$id")) {
      return RefuseAt(Below(canonical, "$id"), "only at the root");
    }
  }
  return std::make_pair(at, canonical);
}

absl::StatusOr<const SchemaJson*> SchemaDocument::Followed(const SchemaJson& schema,
                                                           const std::string& pointer) const {
  const SchemaJson* at = &schema;
  for (int i = 0; i < kMaxSchemaDepth && at->is_object() && at->contains("$ref") &&
                  SaysNothingBut(*at, "$ref");
       ++i) {
    FACET_ASSIGN_OR_RETURN(const auto target, Resolve((*at)["$ref"], pointer));
    at = target.first;
  }
  return at;
}

absl::StatusOr<SchemaTypes> SchemaDocument::TypesOf(const SchemaJson& schema,
                                                    const std::string& pointer, int depth) const {
  if (depth > kMaxSchemaDepth) return RefuseAt(pointer, "nested too deep");
  if (!schema.is_object()) return EveryType();
  SchemaTypes types;
  if (schema.contains("const")) return SchemaTypes{TypeOfValue(schema["const"])};
  if (schema.contains("enum") && schema["enum"].is_array()) {
    for (const SchemaJson& value : schema["enum"]) types.insert(TypeOfValue(value));
    return types;
  }
  if (schema.contains("type")) return DeclaredTypes(schema["type"], Below(pointer, "type"));
  if (schema.contains("$ref")) {
    FACET_ASSIGN_OR_RETURN(const auto target, Resolve(schema["$ref"], Below(pointer, "$ref")));
    return TypesOf(*target.first, target.second, depth + 1);
  }
  for (const char* word : {"anyOf", "oneOf", "allOf"}) {
    if (!schema.contains(word) || !schema[word].is_array()) continue;
    for (const SchemaJson& branch : schema[word]) {
      if (IsFalse(branch)) continue;
      FACET_ASSIGN_OR_RETURN(const SchemaTypes more, TypesOf(branch, pointer, depth + 1));
      types.insert(more.begin(), more.end());
    }
    return types;
  }
  // Without a type, keywords of one type leave all others free; we keep to the one they mean.
  for (const char* type : {"object", "array", "string", "number"}) {
    if (SpeaksOf(schema, type)) types.insert(type);
  }
  return types.empty() ? EveryType() : types;
}

absl::StatusOr<SchemaTypes> DeclaredTypes(const SchemaJson& type, const std::string& pointer) {
  static const SchemaTypes& names =
      *new SchemaTypes{"object", "array", "string", "number", "integer", "boolean", "null"};
  SchemaTypes types;
  const SchemaJson list = type.is_array() ? type : SchemaJson::array({type});
  for (const SchemaJson& name : list) {
    if (!name.is_string() || names.count(name.get<std::string>()) == 0) {
      return RefuseAt(pointer, "must be a type or a list of types");
    }
    types.insert(name.get<std::string>());
  }
  if (types.empty()) return RefuseAt(pointer, "must not be empty");
  if (types.count("number") > 0) types.erase("integer");
  return types;
}

const SchemaTypes& EveryType() {
  static const SchemaTypes& every =
      *new SchemaTypes{"object", "array", "string", "number", "boolean", "null"};
  return every;
}

}  // namespace facet
