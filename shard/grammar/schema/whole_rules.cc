#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/grammar/schema/schema_rules.h"

namespace facet {
namespace {

// Doubles lose what a schema says of large integers.
bool IsExact(const SchemaJson& value) {
  if (value.is_number_float()) return std::abs(value.get<double>()) < 9e15;
  if (!value.is_structured()) return true;
  return std::all_of(value.begin(), value.end(), IsExact);
}

bool HaveCommon(const SchemaJson& a, const SchemaJson& b) {
  return std::any_of(a.begin(), a.end(), [&](const SchemaJson& value) {
    return std::find(b.begin(), b.end(), value) != b.end();
  });
}

bool Requires(const SchemaJson& schema, const std::string& name) {
  const auto found = schema.find("required");
  return found != schema.end() && found->is_array() &&
         std::find(found->begin(), found->end(), SchemaJson(name)) != found->end();
}

}  // namespace

absl::Status SchemaRules::VisitWhole(const Json& schema, const std::string& pointer, int depth,
                                     std::vector<Choice>* choices) {
  if (schema.contains("$ref")) {
    FACET_ASSIGN_OR_RETURN(const auto target,
                           document_.Resolve(schema["$ref"], Below(pointer, "$ref")));
    const int merged = std::exchange(merged_, 0);  // it leads into the document
    const auto rule = Visit(*target.first, target.second, depth + 1);
    merged_ = merged;
    FACET_RETURN_IF_ERROR(rule.status());
    choices->push_back({rule->ebnf, {rule->id}});
    return absl::OkStatus();
  }
  if (schema.contains("const")) {
    return Values(Json::array({schema["const"]}), schema, Below(pointer, "const"), choices);
  }
  if (schema.contains("enum")) {
    return Values(schema["enum"], schema, Below(pointer, "enum"), choices);
  }
  const char* word = schema.contains("anyOf") ? "anyOf" : "oneOf";
  const Json& branches = schema[word];
  const std::string at = Below(pointer, word);
  if (!branches.is_array() || branches.empty()) return RefuseAt(at, "must be a list of schemas");
  if (*word == 'o') FACET_RETURN_IF_ERROR(CheckExclusive(branches, at, depth));
  for (size_t i = 0; i < branches.size(); ++i) {
    if (IsFalse(branches[i])) continue;
    FACET_ASSIGN_OR_RETURN(const Rule rule,
                           Visit(branches[i], absl::StrCat(at, "/", i), depth + 1));
    choices->push_back({rule.ebnf, {rule.id}});
  }
  if (choices->empty()) return RefuseAt(at, "no value satisfies this schema");
  return absl::OkStatus();
}

absl::Status SchemaRules::Values(const Json& values, const Json& schema, const std::string& pointer,
                                 std::vector<Choice>* choices) const {
  if (!values.is_array()) return RefuseAt(pointer, "must be a list");
  if (values.size() > static_cast<size_t>(kMaxSchemaCount)) {
    return RefuseAt(pointer, absl::StrCat("more than ", kMaxSchemaCount, " values"));
  }
  std::optional<SchemaTypes> types;
  if (schema.contains("type")) {
    FACET_ASSIGN_OR_RETURN(types, DeclaredTypes(schema["type"], pointer));
    if (types->count("number") > 0) types->insert("integer");
  }
  for (const Json& value : values) {
    if (types && types->count(TypeOfValue(value)) == 0) continue;
    if (!IsExact(value)) return RefuseAt(pointer, "a number that is too large to keep its digits");
    if (!values_.CanWrite(value)) return RefuseAt(pointer, "a text with U+0000");
    choices->push_back({values_.Literal(value), {}});
  }
  if (choices->empty()) return RefuseAt(pointer, "no value is left");
  return absl::OkStatus();
}

absl::Status SchemaRules::CheckExclusive(const Json& branches, const std::string& pointer,
                                         int depth) const {
  if (branches.size() > 200) return RefuseAt(pointer, "more than 200 branches");
  for (size_t i = 0; i < branches.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      FACET_ASSIGN_OR_RETURN(const bool apart, Exclude(branches[i], branches[j], pointer, depth));
      if (apart) continue;
      return RefuseAt(pointer, absl::StrCat("branches ", j, " and ", i,
                                            " may hold the same value; say anyOf, or give each a "
                                            "required property with a const of its own"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> SchemaRules::Exclude(const Json& a, const Json& b, const std::string& pointer,
                                          int depth) const {
  if (IsFalse(a) || IsFalse(b)) return true;
  FACET_ASSIGN_OR_RETURN(const SchemaTypes types_a, document_.TypesOf(a, pointer, depth));
  FACET_ASSIGN_OR_RETURN(const SchemaTypes types_b, document_.TypesOf(b, pointer, depth));
  // A schema without a type that speaks of objects only holds all other values too.
  const auto meets = [](const SchemaTypes& x, const SchemaTypes& y) {
    return std::any_of(x.begin(), x.end(), [&](const std::string& type) {
      return y.count(type) > 0 || (type == "integer" && y.count("number") > 0);
    });
  };
  if (types_a == SchemaTypes{"object"} && types_b == types_a) {
    return DiscriminatorsDiffer(a, b, pointer);
  }
  if (!meets(types_a, types_b) && !meets(types_b, types_a)) return true;
  const auto in_a = Listed(a), in_b = Listed(b);
  return in_a && in_b && !HaveCommon(*in_a, *in_b);
}

absl::StatusOr<bool> SchemaRules::DiscriminatorsDiffer(const Json& a, const Json& b,
                                                       const std::string& pointer) const {
  FACET_ASSIGN_OR_RETURN(const Json* object_a, document_.Followed(a, pointer));
  FACET_ASSIGN_OR_RETURN(const Json* object_b, document_.Followed(b, pointer));
  for (const Json* object : {object_a, object_b}) {
    if (!object->is_object() || !object->contains("properties") ||
        !(*object)["properties"].is_object()) {
      return false;
    }
  }
  for (const auto& [name, property] : (*object_a)["properties"].items()) {
    const auto other = (*object_b)["properties"].find(name);
    if (other == (*object_b)["properties"].end()) continue;
    const auto in_a = Listed(property), in_b = Listed(*other);
    if (!in_a || !in_b || !Requires(*object_a, name) || !Requires(*object_b, name)) continue;
    if (!HaveCommon(*in_a, *in_b)) return true;
  }
  return false;
}

}  // namespace facet
