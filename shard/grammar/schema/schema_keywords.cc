#include "shard/grammar/schema/schema_keywords.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace facet {
namespace {

const std::set<std::string>& Annotations() {
  static const auto& words = *new std::set<std::string>{
      "title",           "description",      "default",       "examples",      "$comment",
      "deprecated",      "readOnly",         "writeOnly",     "$defs",         "definitions",
      "$anchor",         "$dynamicAnchor",   "nullable",      "$schema",       "$id",
      "contentEncoding", "contentMediaType", "contentSchema", "discriminator", "example",
      "externalDocs"};
  return words;
}

const std::map<std::string, std::string>& Types() {
  static const auto& types =
      *new std::map<std::string, std::string>{{"properties", "object"},
                                              {"required", "object"},
                                              {"additionalProperties", "object"},
                                              {"minProperties", "object"},
                                              {"maxProperties", "object"},
                                              {"propertyNames", "object"},
                                              {"prefixItems", "array"},
                                              {"items", "array"},
                                              {"additionalItems", "array"},
                                              {"minItems", "array"},
                                              {"maxItems", "array"},
                                              {"uniqueItems", "array"},
                                              {"minLength", "string"},
                                              {"maxLength", "string"},
                                              {"pattern", "string"},
                                              {"format", "string"},
                                              {"minimum", "number"},
                                              {"maximum", "number"},
                                              {"exclusiveMinimum", "number"},
                                              {"exclusiveMaximum", "number"},
                                              {"multipleOf", "number"}};
  return types;
}

// Where "POINTER: why" keeps its pointer apart, whatever the keys are.
constexpr char kPointerPayload[] = "facet/json-pointer";

}  // namespace

bool IsAnnotation(const std::string& keyword) {
  return Annotations().count(keyword) > 0 || absl::StartsWith(keyword, "x-");
}

std::string TypeOfKeyword(const std::string& keyword) {
  const auto found = Types().find(keyword);
  return found == Types().end() ? "" : found->second;
}

bool IsWhole(const std::string& keyword) {
  for (const char* word : {"$ref", "anyOf", "oneOf", "allOf", "enum", "const"}) {
    if (keyword == word) return true;
  }
  return false;
}

bool SpeaksOf(const SchemaJson& schema, absl::string_view type) {
  for (const auto& [key, value] : schema.items()) {
    if (TypeOfKeyword(key) == type) return true;
  }
  return false;
}

bool SaysNothingBut(const SchemaJson& schema, absl::string_view except) {
  for (const auto& [key, value] : schema.items()) {
    if (key != except && !IsAnnotation(key)) return false;
  }
  return true;
}

bool IsFalse(const SchemaJson& schema) { return schema.is_boolean() && !schema.get<bool>(); }

std::optional<SchemaJson> Listed(const SchemaJson& schema) {
  if (!schema.is_object()) return std::nullopt;
  if (schema.contains("const")) return SchemaJson::array({schema["const"]});
  if (schema.contains("enum") && schema["enum"].is_array()) return schema["enum"];
  return std::nullopt;
}

std::string TypeOfValue(const SchemaJson& value) {
  if (value.is_object()) return "object";
  if (value.is_array()) return "array";
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "boolean";
  if (value.is_null()) return "null";
  return value.is_number_integer() || std::floor(value.get<double>()) == value.get<double>()
             ? "integer"
             : "number";
}

std::string Below(absl::string_view pointer, absl::string_view key) {
  return absl::StrCat(pointer, "/", absl::StrReplaceAll(key, {{"~", "~0"}, {"/", "~1"}}));
}

absl::Status RefuseAt(absl::string_view pointer, absl::string_view why) {
  const std::string at(pointer.empty() ? "/" : pointer);
  absl::Status status = absl::InvalidArgumentError(absl::StrCat(at, ": ", why));
  status.SetPayload(kPointerPayload, absl::Cord(pointer));
  return status;
}

std::pair<std::string, std::string> PointerAndReason(const absl::Status& refusal) {
  const auto payload = refusal.GetPayload(kPointerPayload);
  if (!payload) return {"", std::string(refusal.message())};
  const std::string pointer(*payload);
  return {pointer, std::string(refusal.message().substr(std::max<size_t>(pointer.size(), 1) + 2))};
}

}  // namespace facet
