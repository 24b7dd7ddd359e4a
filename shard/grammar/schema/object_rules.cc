#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/grammar/schema/schema_rules.h"

namespace facet {
namespace {

const SchemaJson& Anything() {
  static const SchemaJson& anything = *new SchemaJson(true);
  return anything;
}

absl::StatusOr<std::vector<std::string>> RequiredNames(const SchemaJson& schema,
                                                       const std::string& pointer) {
  std::vector<std::string> names;
  if (!schema.contains("required")) return names;
  const std::string at = Below(pointer, "required");
  if (!schema["required"].is_array()) return RefuseAt(at, "must be a list");
  for (const SchemaJson& name : schema["required"]) {
    if (!name.is_string()) return RefuseAt(at, "must be names");
    if (std::find(names.begin(), names.end(), name.get<std::string>()) == names.end()) {
      names.push_back(name.get<std::string>());
    }
  }
  return names;
}

bool IsAnyName(const SchemaJson& schema) {
  if (schema.is_boolean()) return schema.get<bool>();
  return schema.is_object() && SaysNothingBut(schema, "type") &&
         schema.value("type", SchemaJson("string")) == "string";
}

}  // namespace

absl::StatusOr<std::vector<SchemaRules::Property>> SchemaRules::Properties(
    const Json& schema, const std::string& pointer) const {
  std::vector<Property> properties;
  FACET_ASSIGN_OR_RETURN(std::vector<std::string> required, RequiredNames(schema, pointer));
  if (schema.contains("properties")) {
    const std::string at = Below(pointer, "properties");
    if (!schema["properties"].is_object()) return RefuseAt(at, "must be an object");
    for (const auto& [name, property] : schema["properties"].items()) {
      const bool needed = std::erase(required, name) > 0;
      if (IsFalse(property) && !needed) continue;
      properties.push_back({name, &property, Below(at, name), needed});
    }
  }
  const Json& rest =
      schema.contains("additionalProperties") ? schema["additionalProperties"] : Anything();
  for (const std::string& name : required) {
    properties.push_back({name, &rest, Below(pointer, "additionalProperties"), true});
  }
  if (options_.syntax == ValueSyntax::kCall) {
    std::stable_sort(properties.begin(), properties.end(),
                     [](const Property& a, const Property& b) {
                       return absl::AsciiStrToLower(a.name) < absl::AsciiStrToLower(b.name);
                     });
  }
  return properties;
}

absl::StatusOr<RuleTable::Choice> SchemaRules::Object(const Json& schema,
                                                      const std::string& pointer, int depth) {
  FACET_ASSIGN_OR_RETURN(const auto properties, Properties(schema, pointer));
  FACET_ASSIGN_OR_RETURN(const int64_t low,
                         Count(schema, pointer, "minProperties", 0, kMaxSchemaCount));
  FACET_ASSIGN_OR_RETURN(const int64_t high,
                         Count(schema, pointer, "maxProperties", kMaxSchemaCount, kMaxSchemaCount));
  const auto rest = schema.find("additionalProperties");
  if (rest != schema.end() && !rest->is_boolean() && !rest->is_object()) {
    return RefuseAt(Below(pointer, "additionalProperties"), "must be a schema");
  }
  if (properties.empty()) return Map(schema, pointer, depth, low, high);
  if (schema.contains("propertyNames") && !IsAnyName(schema["propertyNames"])) {
    return RefuseAt(Below(pointer, "propertyNames"), "not supported beside properties");
  }
  const int64_t needed =
      std::count_if(properties.begin(), properties.end(), [](auto& p) { return p.required; });
  if (low > needed) {
    return RefuseAt(Below(pointer, "minProperties"), "more than the required properties");
  }
  if (schema.contains("maxProperties") && high < static_cast<int64_t>(properties.size())) {
    return RefuseAt(Below(pointer, "maxProperties"), "fewer than the properties listed");
  }
  FACET_ASSIGN_OR_RETURN(const Rule members, Members(properties, pointer, depth));
  const std::string space = values_.Space();
  return Choice{absl::StrCat("\"{\"", space, members.ebnf, space, "\"}\""), {members.id}};
}

// The properties in their order, those not required at will: a chain of rules, one pair for each
// place, which say whether something stands before it.
absl::StatusOr<RuleTable::Rule> SchemaRules::Members(const std::vector<Property>& properties,
                                                     const std::string& pointer, int depth) {
  const std::string space = values_.Space();
  Rule first{"", -1}, later{"", -1};  // of what follows; empty: nothing
  for (size_t i = properties.size(); i-- > 0;) {
    const Property& property = properties[i];
    if (!values_.CanWrite(Json(property.name))) {
      return RefuseAt(Below(pointer, "properties"), "a name with U+0000");
    }
    FACET_ASSIGN_OR_RETURN(const Rule value, Visit(*property.schema, property.pointer, depth + 1));
    const std::string member = absl::StrCat(values_.Key(property.name), space, "\":\"", space,
                                            value.ebnf, later.ebnf.empty() ? "" : " ", later.ebnf);
    const auto add = [&](const std::string& before, const Rule& skipped) -> absl::StatusOr<Rule> {
      FACET_ASSIGN_OR_RETURN(const int id, table_.New(pointer));
      std::vector<Choice> choices = {{before + member, {value.id, later.id}}};
      if (!property.required) {
        choices.push_back({skipped.ebnf.empty() ? "\"\"" : skipped.ebnf, {skipped.id}});
      }
      FACET_RETURN_IF_ERROR(table_.SetBody(id, choices));
      return table_.Get(id);
    };
    FACET_ASSIGN_OR_RETURN(const Rule as_first, add("", first));
    FACET_ASSIGN_OR_RETURN(later, add(absl::StrCat(space, "\",\"", space), later));
    first = as_first;
  }
  return first;
}

// An object without listed properties: names at will, all values of one schema.
absl::StatusOr<RuleTable::Choice> SchemaRules::Map(const Json& schema, const std::string& pointer,
                                                   int depth, int64_t low, int64_t high) {
  const std::string space = values_.Space();
  const std::string empty = absl::StrCat("\"{\"", space, "\"}\"");
  const auto rest = schema.find("additionalProperties");
  const bool closed = rest != schema.end() && IsFalse(*rest);
  // A name may come twice, so more than one distinct name cannot be asked for.
  if (low > 1 || (closed && low > 0)) {
    return RefuseAt(Below(pointer, "minProperties"), "more than the grammar can promise");
  }
  if (closed || high == 0) return Choice{empty, {}};
  Rule key{values_.AnyKey()};
  if (schema.contains("propertyNames") && !IsAnyName(schema["propertyNames"])) {
    const std::string at = Below(pointer, "propertyNames");
    FACET_ASSIGN_OR_RETURN(const SchemaTypes types,
                           document_.TypesOf(schema["propertyNames"], at, depth));
    if (types != SchemaTypes{"string"}) return RefuseAt(at, "must be a schema of strings");
    FACET_ASSIGN_OR_RETURN(key, Visit(schema["propertyNames"], at, depth + 1));
  } else if (rest == schema.end() && low == 0 && !schema.contains("maxProperties")) {
    return Choice{values_.AnyObject(), {}};
  }
  Rule value{values_.Any()};
  if (rest != schema.end()) {
    FACET_ASSIGN_OR_RETURN(value, Visit(*rest, Below(pointer, "additionalProperties"), depth + 1));
  }
  const std::string pair = absl::StrCat(key.ebnf, space, "\":\"", space, value.ebnf);
  const std::string ebnf = absl::StrCat(
      "\"{\"", space, pair, " ",
      Repeated(absl::StrCat(space, "\",\"", space, pair), 0,
               schema.contains("maxProperties") ? std::optional(high - 1) : std::nullopt),
      space, "\"}\"");
  if (low == 0) return Choice{absl::StrCat("(", ebnf, " | ", empty, ")"), {}};
  return Choice{ebnf, {value.id, key.id}};
}

}  // namespace facet
