#include "shard/grammar/schema/schema_merge.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {
namespace {

using Json = SchemaJson;

// Schemas and properties that are merged for one schema; nested unions multiply.
constexpr size_t kMaxMerges = 20'000;

bool IsNothing(const Json& schema) {
  return schema.is_boolean() ? schema.get<bool>()
                             : schema.is_object() && SaysNothingBut(schema, "");
}

// Both `type`s: what one list has and the other does not rule out.
Json CommonTypes(const SchemaTypes& a, const SchemaTypes& b) {
  Json common = Json::array();
  for (const std::string& type : a) {
    if (b.count(type) > 0 || (type == "integer" && b.count("number") > 0)) common.push_back(type);
  }
  if (a.count("number") > 0 && b.count("integer") > 0) common.push_back("integer");
  return common;
}

// Keywords of which both are met by one: the larger or the smaller number, or either.
std::optional<Json> Stronger(const std::string& key, const Json& a, const Json& b) {
  if (a == b) return a;
  const bool numbers = a.is_number() && b.is_number();
  for (const char* word :
       {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}) {
    if (key == word && numbers) return a.get<double>() > b.get<double>() ? a : b;
  }
  for (const char* word :
       {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}) {
    if (key == word && numbers) return a.get<double>() < b.get<double>() ? a : b;
  }
  if (key == "uniqueItems" && a.is_boolean() && b.is_boolean()) return true;
  if (key == "required" && a.is_array() && b.is_array()) {
    Json all = a;
    for (const Json& name : b) {
      if (std::find(a.begin(), a.end(), name) == a.end()) all.push_back(name);
    }
    return all;
  }
  if (IsAnnotation(key)) return a;
  return std::nullopt;
}

}  // namespace

bool SchemaMerger::Merges(const Json& schema) {
  if (!schema.is_object()) return false;
  for (const char* word : {"anyOf", "oneOf", "$ref"}) {
    if (schema.contains(word) && !SaysNothingBut(schema, word)) return true;
  }
  return schema.contains("allOf");
}

absl::StatusOr<Json> SchemaMerger::Normal(const Json& schema, const std::string& pointer,
                                          int depth) {
  if (depth > kMaxSchemaDepth) return RefuseAt(pointer, "nested too deep");
  if (!schema.is_object()) return schema;
  if (!Merges(schema)) return schema;
  Json rest = schema;
  for (const char* word : {"allOf", "$ref", "anyOf", "oneOf"}) rest.erase(word);
  if (schema.contains("$ref")) {
    const std::string at = Below(pointer, "$ref");
    FACET_ASSIGN_OR_RETURN(const auto target, document_->Resolve(schema["$ref"], at));
    FACET_ASSIGN_OR_RETURN(rest, Both(rest, *target.first, at, depth + 1));
  }
  for (const char* word : {"allOf", "anyOf", "oneOf"}) {
    if (!schema.contains(word)) continue;
    const std::string at = Below(pointer, word);
    const Json& branches = schema[word];
    if (!branches.is_array() || branches.empty()) return RefuseAt(at, "must be a list of schemas");
    if (std::string(word) == "allOf") {
      for (const Json& branch : branches) {
        FACET_ASSIGN_OR_RETURN(rest, Both(rest, branch, at, depth + 1));
      }
    } else {
      FACET_ASSIGN_OR_RETURN(rest, Distributed(branches, word, rest, at, depth));
    }
  }
  // A single branch comes back as it was written.
  return Normal(rest, pointer, depth + 1);
}

absl::Status SchemaMerger::Spend(size_t merges, const std::string& pointer) {
  merges_ += merges;
  if (merges_ <= kMaxMerges) return absl::OkStatus();
  return RefuseAt(pointer, absl::StrCat("more than ", kMaxMerges, " schemas to merge"));
}

absl::StatusOr<Json> SchemaMerger::Both(const Json& a, const Json& b, const std::string& pointer,
                                        int depth) {
  if (depth > kMaxSchemaDepth) return RefuseAt(pointer, "nested too deep");
  for (const Json* schema : {&a, &b}) {
    if (!schema->is_boolean() && !schema->is_object()) {
      return RefuseAt(pointer, "must be an object or a boolean");
    }
  }
  if (IsNothing(a)) return b;  // a reference stays one, and may lead back here
  if (IsNothing(b)) return a;
  if (IsFalse(a) || IsFalse(b)) return Json(false);
  FACET_RETURN_IF_ERROR(Spend(1, pointer));
  const auto opened = [&](const Json& schema) -> absl::StatusOr<Json> {
    FACET_ASSIGN_OR_RETURN(const Json* target, document_->Followed(schema, pointer));
    return Normal(*target, pointer, depth + 1);
  };
  FACET_ASSIGN_OR_RETURN(const Json x, opened(a));
  FACET_ASSIGN_OR_RETURN(const Json y, opened(b));
  if (!x.is_object() || !y.is_object()) return Both(x, y, pointer, depth + 1);
  for (const char* word : {"anyOf", "oneOf"}) {
    if (x.contains(word)) return Distributed(x[word], word, y, pointer, depth + 1);
    if (y.contains(word)) return Distributed(y[word], word, x, pointer, depth + 1);
  }
  return Plain(x, y, pointer, depth + 1);
}

absl::StatusOr<Json> SchemaMerger::Distributed(const Json& branches, const char* word,
                                               const Json& other, const std::string& pointer,
                                               int depth) {
  if (!branches.is_array()) return RefuseAt(pointer, "must be a list of schemas");
  Json merged = Json::array();
  for (const Json& branch : branches) {
    FACET_ASSIGN_OR_RETURN(Json both, Both(branch, other, pointer, depth + 1));
    if (!IsFalse(both)) merged.push_back(std::move(both));
  }
  if (merged.empty()) return Json(false);
  return Json{{word, std::move(merged)}};
}

absl::StatusOr<Json> SchemaMerger::Plain(const Json& a, const Json& b, const std::string& pointer,
                                         int depth) {
  Json both = a;
  for (const auto& [key, value] : b.items()) {
    if (!both.contains(key)) {
      both[key] = value;
    } else if (key == "type") {
      FACET_ASSIGN_OR_RETURN(const SchemaTypes here, DeclaredTypes(a["type"], pointer));
      FACET_ASSIGN_OR_RETURN(const SchemaTypes there, DeclaredTypes(value, pointer));
      both["type"] = CommonTypes(here, there);
      if (both["type"].empty()) return Json(false);
    } else if (key == "items" || key == "propertyNames") {
      FACET_ASSIGN_OR_RETURN(both[key], Both(a[key], value, Below(pointer, key), depth));
    } else if (key != "properties" && key != "additionalProperties" && key != "enum" &&
               key != "const") {
      const auto stronger = Stronger(key, a[key], value);
      if (!stronger) {
        return RefuseAt(pointer,
                        absl::StrCat("two different values of ", key, " cannot be merged"));
      }
      both[key] = *stronger;
    }
  }
  if ((a.contains("prefixItems") || b.contains("prefixItems")) &&
      a.contains("items") != b.contains("items")) {
    return RefuseAt(pointer, "prefixItems and items of different schemas cannot be merged");
  }
  const auto in_a = Listed(a), in_b = Listed(b);
  if (in_a && in_b) {
    Json common = Json::array();
    for (const Json& value : *in_a) {
      if (std::find(in_b->begin(), in_b->end(), value) != in_b->end()) common.push_back(value);
    }
    if (common.empty()) return Json(false);
    both.erase("const");
    both["enum"] = std::move(common);
  }
  if (SpeaksOf(a, "object") && SpeaksOf(b, "object")) {
    FACET_ASSIGN_OR_RETURN(const Json members, Properties(a, b, pointer, depth));
    for (const auto& [key, value] : members.items()) both[key] = value;
  }
  return both;
}

// `properties` and `additionalProperties` of both: what one lists is additional to the other.
absl::StatusOr<Json> SchemaMerger::Properties(const Json& a, const Json& b,
                                              const std::string& pointer, int depth) {
  static const Json& anything = *new Json(true);
  static const Json& none = *new Json(Json::object());
  const auto member = [](const Json& schema, const char* key, const Json& absent) -> const Json& {
    return schema.contains(key) ? schema[key] : absent;
  };
  const Json& listed_a = member(a, "properties", none);
  const Json& listed_b = member(b, "properties", none);
  const Json& rest_a = member(a, "additionalProperties", anything);
  const Json& rest_b = member(b, "additionalProperties", anything);
  if (!listed_a.is_object() || !listed_b.is_object()) {
    return RefuseAt(Below(pointer, "properties"), "must be an object");
  }
  Json members = Json::object();
  Json& properties = members["properties"] = Json::object();
  FACET_RETURN_IF_ERROR(Spend(listed_a.size() + listed_b.size(), pointer));
  for (const auto& [name, schema] : listed_a.items()) {
    const std::string at = Below(Below(pointer, "properties"), name);
    FACET_ASSIGN_OR_RETURN(
        properties[name],
        Both(schema, listed_b.contains(name) ? listed_b[name] : rest_b, at, depth));
  }
  for (const auto& [name, schema] : listed_b.items()) {
    if (listed_a.contains(name)) continue;
    const std::string at = Below(Below(pointer, "properties"), name);
    FACET_ASSIGN_OR_RETURN(properties[name], Both(rest_a, schema, at, depth));
  }
  if (properties.empty()) members.erase("properties");
  FACET_ASSIGN_OR_RETURN(Json rest,
                         Both(rest_a, rest_b, Below(pointer, "additionalProperties"), depth));
  if (!IsNothing(rest)) members["additionalProperties"] = std::move(rest);
  return members;
}

}  // namespace facet
