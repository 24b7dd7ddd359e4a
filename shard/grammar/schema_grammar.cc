#include "shard/grammar/schema_grammar.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "shard/grammar/number_grammar.h"
#include "shard/grammar/pattern_grammar.h"
#include "shard/grammar/value_rules.h"

namespace facet {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxSchemaBytes = 256 << 10;
constexpr size_t kMaxRules = 2000;
constexpr size_t kMaxRulesBytes = 1 << 20;
constexpr int kMaxDepth = 64;
constexpr int64_t kMaxCount = 1000;
constexpr int64_t kMaxLength = 4096;

const char* const kIgnored[] = {"title",    "description", "default",  "examples",
                                "$comment", "deprecated",  "readOnly", "writeOnly",
                                "$defs",    "definitions", "$anchor",  "$dynamicAnchor",
                                "nullable", "$schema",     "$id"};
const char* const kObjectKeywords[] = {"properties", "required", "additionalProperties",
                                       "minProperties", "maxProperties"};
const char* const kArrayKeywords[] = {"prefixItems", "items", "minItems", "maxItems",
                                      "uniqueItems"};
const char* const kStringKeywords[] = {"minLength", "maxLength", "pattern", "format"};
const char* const kNumberKeywords[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
                                       "multipleOf"};
// Each of these says by itself what a value is; nothing but annotations may stand beside it.
const char* const kWhole[] = {"$ref", "anyOf", "oneOf", "allOf", "enum", "const"};

template <size_t n>
bool IsOneOf(const std::string& word, const char* const (&words)[n]) {
  return std::find(std::begin(words), std::end(words), word) != std::end(words);
}
template <size_t n>
bool HasAny(const Json& schema, const char* const (&words)[n]) {
  return std::any_of(std::begin(words), std::end(words),
                     [&](const char* word) { return schema.contains(word); });
}

std::string Escaped(absl::string_view key) {
  return absl::StrReplaceAll(key, {{"~", "~0"}, {"/", "~1"}});
}
std::string Below(absl::string_view pointer, absl::string_view key) {
  return absl::StrCat(pointer, "/", Escaped(key));
}
absl::Status Refuse(absl::string_view pointer, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(pointer.empty() ? "/" : pointer, ": ", why));
}

// What a schema's values may be, as letters: object, array, string, number, integer, boolean, null.
std::string TypeOf(const Json& value) {
  if (value.is_object()) return "object";
  if (value.is_array()) return "array";
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "boolean";
  if (value.is_null()) return "null";
  return value.is_number_integer() || std::floor(value.get<double>()) == value.get<double>()
             ? "integer"
             : "number";
}

// Doubles lose what a schema says of large integers.
bool IsExact(const Json& value) {
  if (value.is_number_float()) return std::abs(value.get<double>()) < 9e15;
  if (!value.is_structured()) return true;
  return std::all_of(value.begin(), value.end(), IsExact);
}

class SchemaConverter {
 public:
  explicit SchemaConverter(const SchemaGrammarOptions& options)
      : options_(options), values_(options) {}

  absl::StatusOr<SchemaGrammar> Convert(absl::string_view text) {
    if (text.size() > kMaxSchemaBytes) {
      return Refuse("", absl::StrCat("the schema has ", text.size(), " bytes; the limit is ",
                                     kMaxSchemaBytes));
    }
    FACET_RETURN_IF_ERROR(CheckNesting(text));
    root_ = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
    if (root_.is_discarded()) return Refuse("", "the schema is not valid JSON");
    FACET_ASSIGN_OR_RETURN(const Rule top, Visit(root_, "", 0));
    if (options_.root_is_object) {
      FACET_ASSIGN_OR_RETURN(const Types types, TypesOf(root_, "", 0));
      if (types != Types{"object"}) return Refuse("/type", "must be \"object\"");
    }
    FACET_RETURN_IF_ERROR(CheckThatValuesEnd());
    std::string rules = values_.Common();
    for (const Body& body : bodies_) absl::StrAppend(&rules, body.name, " ::= ", body.ebnf, "\n");
    return SchemaGrammar{std::move(rules), top.name};
  }

 private:
  using Types = std::set<std::string>;
  struct Rule {
    std::string name;
    int id = -1;  // into bodies_; -1: a common rule
  };
  // A rule with, for each of its alternatives, the rules that it cannot do without.
  struct Body {
    std::string name, pointer, ebnf;
    std::vector<std::vector<int>> alternatives;
  };
  struct Choice {
    std::string ebnf;
    std::vector<int> needs;
  };

  // Before the parse, which costs a stack of its own depth when the value is torn down.
  static absl::Status CheckNesting(absl::string_view text) {
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (in_string) {
        if (c == '\\') ++i;
        if (c == '"') in_string = false;
      } else if (c == '"') {
        in_string = true;
      } else if (c == '{' || c == '[') {
        if (++depth > 4 * kMaxDepth) return Refuse("", "the schema is nested too deep");
      } else if (c == '}' || c == ']') {
        --depth;
      }
    }
    return absl::OkStatus();
  }

  // A rule without a finite value, such as an object that must hold itself, would never end.
  absl::Status CheckThatValuesEnd() const {
    std::vector<bool> ends(bodies_.size(), false);
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t i = 0; i < bodies_.size(); ++i) {
        if (ends[i]) continue;
        for (const auto& needs : bodies_[i].alternatives) {
          if (!std::all_of(needs.begin(), needs.end(), [&](int id) { return ends[id]; })) continue;
          ends[i] = changed = true;
          break;
        }
      }
    }
    for (size_t i = 0; i < bodies_.size(); ++i) {
      if (!ends[i]) return Refuse(bodies_[i].pointer, "no finite value satisfies this schema");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<int> NewRule(const std::string& pointer) {
    if (bodies_.size() >= kMaxRules) {
      return Refuse(pointer, absl::StrCat("the schema needs more than ", kMaxRules, " rules"));
    }
    const int id = static_cast<int>(bodies_.size());
    bodies_.push_back({values_.Name(absl::StrCat("n", id)), pointer, "", {}});
    return id;
  }
  absl::Status SetBody(int id, const std::vector<Choice>& choices) {
    std::vector<std::string> texts;
    for (const Choice& choice : choices) {
      texts.push_back(choice.ebnf);
      std::vector<int> needs;
      for (const int need : choice.needs) {
        if (need >= 0) needs.push_back(need);
      }
      bodies_[id].alternatives.push_back(std::move(needs));
    }
    bodies_[id].ebnf = absl::StrJoin(texts, " | ");
    bytes_ += bodies_[id].ebnf.size();
    if (bytes_ > kMaxRulesBytes) return Refuse(bodies_[id].pointer, "the schema is too large");
    return absl::OkStatus();
  }

  // The rule of a schema's values; each place is converted once, so that a schema may refer to
  // itself.
  absl::StatusOr<Rule> Visit(const Json& schema, const std::string& pointer, int depth) {
    if (depth > kMaxDepth) return Refuse(pointer, "nested too deep");
    if (schema.is_boolean() && schema.get<bool>()) return Rule{values_.Any()};
    if (schema.is_boolean()) return Refuse(pointer, "no value satisfies the schema false");
    if (!schema.is_object()) return Refuse(pointer, "must be an object or a boolean");
    const auto known = ids_.find(pointer);
    if (known != ids_.end()) return Rule{bodies_[known->second].name, known->second};
    FACET_ASSIGN_OR_RETURN(const int id, NewRule(pointer));
    ids_[pointer] = id;
    FACET_RETURN_IF_ERROR(CheckKeywords(schema, pointer));
    std::vector<Choice> choices;
    if (HasAny(schema, kWhole)) {
      FACET_RETURN_IF_ERROR(VisitWhole(schema, pointer, depth, &choices));
    } else {
      FACET_ASSIGN_OR_RETURN(const Types types, TypesOf(schema, pointer, depth));
      for (const std::string& type : types) {
        FACET_ASSIGN_OR_RETURN(Choice choice, OfType(type, schema, pointer, depth));
        choices.push_back(std::move(choice));
      }
    }
    FACET_RETURN_IF_ERROR(SetBody(id, choices));
    return Rule{bodies_[id].name, id};
  }

  absl::Status CheckKeywords(const Json& schema, const std::string& pointer) const {
    std::string whole;
    for (const char* word : kWhole) {
      if (schema.contains(word)) whole = word;
    }
    for (const auto& [key, value] : schema.items()) {
      if (absl::StartsWith(key, "x-")) continue;
      if (IsOneOf(key, kIgnored)) {
        if (key == "$id" && !pointer.empty())
          return Refuse(Below(pointer, key), "only at the root");
        if (key == "$schema" &&
            (!value.is_string() ||
             !absl::StrContains(value.get<std::string>(), "//json-schema.org/draft"))) {
          return Refuse(Below(pointer, key), "an unknown dialect");
        }
        continue;
      }
      const bool known = key == "type" || IsOneOf(key, kWhole) || IsOneOf(key, kObjectKeywords) ||
                         IsOneOf(key, kArrayKeywords) || IsOneOf(key, kStringKeywords) ||
                         IsOneOf(key, kNumberKeywords);
      if (!known) return Refuse(Below(pointer, key), "this keyword is not supported");
      const bool typed_values = key == "type" && (whole == "enum" || whole == "const");
      if (!whole.empty() && key != whole && !typed_values) {
        return Refuse(Below(pointer, key), absl::StrCat("not supported beside ", whole));
      }
    }
    return absl::OkStatus();
  }

  // The types that a schema's values may have. No keyword at all: any.
  absl::StatusOr<Types> TypesOf(const Json& schema, const std::string& pointer, int depth) {
    static const Types& every =
        *new Types{"object", "array", "string", "number", "boolean", "null"};
    if (depth > kMaxDepth) return Refuse(pointer, "nested too deep");
    if (!schema.is_object()) return every;
    Types types;
    if (schema.contains("const")) return Types{TypeOf(schema["const"])};
    if (schema.contains("enum") && schema["enum"].is_array()) {
      for (const Json& value : schema["enum"]) types.insert(TypeOf(value));
      return types;
    }
    if (schema.contains("$ref")) {
      FACET_ASSIGN_OR_RETURN(const auto target, Resolve(schema["$ref"], Below(pointer, "$ref")));
      return TypesOf(*target.first, target.second, depth + 1);
    }
    for (const char* word : {"anyOf", "oneOf", "allOf"}) {
      if (!schema.contains(word) || !schema[word].is_array()) continue;
      for (const Json& branch : schema[word]) {
        FACET_ASSIGN_OR_RETURN(const Types more, TypesOf(branch, pointer, depth + 1));
        types.insert(more.begin(), more.end());
      }
      return types;
    }
    if (schema.contains("type")) return DeclaredTypes(schema["type"], Below(pointer, "type"));
    // Without a type, keywords of one type leave all others free; we keep to the one they mean.
    if (HasAny(schema, kObjectKeywords)) types.insert("object");
    if (HasAny(schema, kArrayKeywords)) types.insert("array");
    if (HasAny(schema, kStringKeywords)) types.insert("string");
    if (HasAny(schema, kNumberKeywords)) types.insert("number");
    return types.empty() ? every : types;
  }

  static absl::StatusOr<Types> DeclaredTypes(const Json& type, const std::string& pointer) {
    static const Types& names =
        *new Types{"object", "array", "string", "number", "integer", "boolean", "null"};
    Types types;
    const Json list = type.is_array() ? type : Json::array({type});
    for (const Json& name : list) {
      if (!name.is_string() || names.count(name.get<std::string>()) == 0) {
        return Refuse(pointer, "must be a type or a list of types");
      }
      types.insert(name.get<std::string>());
    }
    if (types.empty()) return Refuse(pointer, "must not be empty");
    if (types.count("number") > 0) types.erase("integer");
    return types;
  }

  absl::StatusOr<Choice> OfType(const std::string& type, const Json& schema,
                                const std::string& pointer, int depth) {
    if (type == "object") return Object(schema, pointer, depth);
    if (type == "array") return Array(schema, pointer, depth);
    if (type == "string") return String(schema, pointer);
    if (type == "number" || type == "integer") return Number(type, schema, pointer);
    if (type == "null") return Choice{"\"null\"", {}};
    return Choice{"(\"true\" | \"false\")", {}};
  }

  // ---- $ref, anyOf, oneOf, allOf, enum, const

  absl::Status VisitWhole(const Json& schema, const std::string& pointer, int depth,
                          std::vector<Choice>* choices) {
    if (schema.contains("$ref")) {
      FACET_ASSIGN_OR_RETURN(const auto target, Resolve(schema["$ref"], Below(pointer, "$ref")));
      FACET_ASSIGN_OR_RETURN(const Rule rule, Visit(*target.first, target.second, depth + 1));
      choices->push_back({rule.name, {rule.id}});
      return absl::OkStatus();
    }
    if (schema.contains("const")) {
      return Values(Json::array({schema["const"]}), schema, Below(pointer, "const"), choices);
    }
    if (schema.contains("enum")) {
      return Values(schema["enum"], schema, Below(pointer, "enum"), choices);
    }
    const std::string word = schema.contains("anyOf")   ? "anyOf"
                             : schema.contains("oneOf") ? "oneOf"
                                                        : "allOf";
    const Json& branches = schema[word];
    const std::string at = Below(pointer, word);
    if (!branches.is_array() || branches.empty()) return Refuse(at, "must be a list of schemas");
    if (word == "allOf" && branches.size() > 1) {
      return Refuse(at, "only with a single schema");
    }
    if (word == "oneOf") FACET_RETURN_IF_ERROR(CheckExclusive(branches, at, depth));
    for (size_t i = 0; i < branches.size(); ++i) {
      if (branches[i].is_boolean() && !branches[i].get<bool>() && word == "anyOf") continue;
      FACET_ASSIGN_OR_RETURN(const Rule rule,
                             Visit(branches[i], absl::StrCat(at, "/", i), depth + 1));
      choices->push_back({rule.name, {rule.id}});
    }
    if (choices->empty()) return Refuse(at, "no value satisfies this schema");
    return absl::OkStatus();
  }

  absl::Status Values(const Json& values, const Json& schema, const std::string& pointer,
                      std::vector<Choice>* choices) const {
    if (!values.is_array()) return Refuse(pointer, "must be a list");
    if (values.size() > static_cast<size_t>(kMaxCount)) {
      return Refuse(pointer, absl::StrCat("more than ", kMaxCount, " values"));
    }
    std::optional<Types> types;
    if (schema.contains("type")) {
      FACET_ASSIGN_OR_RETURN(types, DeclaredTypes(schema["type"], pointer));
      if (types->count("number") > 0) types->insert("integer");
    }
    for (const Json& value : values) {
      if (types && types->count(TypeOf(value)) == 0) continue;
      if (!IsExact(value)) return Refuse(pointer, "a number that is too large to keep its digits");
      choices->push_back({values_.Literal(value), {}});
    }
    if (choices->empty()) return Refuse(pointer, "no value is left");
    return absl::OkStatus();
  }

  // A value of one branch must not satisfy another.
  absl::Status CheckExclusive(const Json& branches, const std::string& pointer, int depth) {
    for (size_t i = 0; i < branches.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        FACET_ASSIGN_OR_RETURN(const bool apart, Exclude(branches[i], branches[j], pointer, depth));
        if (!apart) {
          return Refuse(pointer, absl::StrCat("branches ", j, " and ", i,
                                              " may hold the same value; say anyOf, or give each a "
                                              "required property with a const of its own"));
        }
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Exclude(const Json& a, const Json& b, const std::string& pointer,
                               int depth) {
    FACET_ASSIGN_OR_RETURN(const Types types_a, TypesOf(a, pointer, depth));
    FACET_ASSIGN_OR_RETURN(const Types types_b, TypesOf(b, pointer, depth));
    const bool objects = types_a == Types{"object"} && types_b == Types{"object"};
    if (objects) return DiscriminatorsDiffer(a, b, pointer);
    const auto meets = [](const Types& x, const Types& y) {
      return std::any_of(x.begin(), x.end(), [&](const std::string& type) {
        return y.count(type) > 0 || (type == "integer" && y.count("number") > 0);
      });
    };
    if (!meets(types_a, types_b) && !meets(types_b, types_a)) return true;
    const auto in_a = Listed(a), in_b = Listed(b);
    if (!in_a || !in_b) return false;
    return std::none_of(in_a->begin(), in_a->end(), [&](const Json& value) {
      return std::find(in_b->begin(), in_b->end(), value) != in_b->end();
    });
  }

  // The values of const or enum.
  static std::optional<std::vector<Json>> Listed(const Json& schema) {
    if (!schema.is_object()) return std::nullopt;
    if (schema.contains("const")) return std::vector<Json>{schema["const"]};
    if (schema.contains("enum") && schema["enum"].is_array()) {
      return schema["enum"].get<std::vector<Json>>();
    }
    return std::nullopt;
  }

  absl::StatusOr<bool> DiscriminatorsDiffer(const Json& a, const Json& b,
                                            const std::string& pointer) {
    FACET_ASSIGN_OR_RETURN(const Json* object_a, Followed(a, pointer));
    FACET_ASSIGN_OR_RETURN(const Json* object_b, Followed(b, pointer));
    const auto required = [](const Json& schema, const std::string& name) {
      const auto found = schema.find("required");
      return found != schema.end() && found->is_array() &&
             std::find(found->begin(), found->end(), Json(name)) != found->end();
    };
    for (const Json* object : {object_a, object_b}) {
      if (!object->contains("properties") || !(*object)["properties"].is_object()) return false;
    }
    for (const auto& [name, property] : (*object_a)["properties"].items()) {
      const auto other = (*object_b)["properties"].find(name);
      if (other == (*object_b)["properties"].end()) continue;
      const auto in_a = Listed(property), in_b = Listed(*other);
      if (!in_a || !in_b || !required(*object_a, name) || !required(*object_b, name)) continue;
      const bool common = std::any_of(in_a->begin(), in_a->end(), [&](const Json& value) {
        return std::find(in_b->begin(), in_b->end(), value) != in_b->end();
      });
      if (!common) return true;
    }
    return false;
  }

  absl::StatusOr<const Json*> Followed(const Json& schema, const std::string& pointer) {
    const Json* at = &schema;
    for (int i = 0; i < kMaxDepth && at->is_object() && at->contains("$ref"); ++i) {
      FACET_ASSIGN_OR_RETURN(const auto target, Resolve((*at)["$ref"], pointer));
      at = target.first;
    }
    return at;
  }

  // Where a local reference leads: the schema and its pointer.
  absl::StatusOr<std::pair<const Json*, std::string>> Resolve(const Json& reference,
                                                              const std::string& pointer) const {
    if (!reference.is_string()) return Refuse(pointer, "must be a string");
    const auto text = reference.get<std::string>();
    if (text != "#" && !absl::StartsWith(text, "#/")) {
      return Refuse(pointer, "only references within the schema (#, #/..) are supported");
    }
    const Json* at = &root_;
    std::string canonical;
    size_t begin = 1;
    while (begin < text.size()) {
      const size_t end = std::min(text.find('/', begin + 1), text.size());
      std::string key;
      if (!Unescape(text.substr(begin + 1, end - begin - 1), &key)) {
        return Refuse(pointer, "a malformed reference");
      }
      begin = end;
      size_t index = 0;
      if (at->is_object() && at->contains(key)) {
        at = &(*at)[key];
      } else if (at->is_array() && absl::SimpleAtoi(key, &index) && index < at->size()) {
        at = &(*at)[index];
      } else {
        return Refuse(pointer, absl::StrCat("leads nowhere: ", text));
      }
      canonical = Below(canonical, key);
      if (at->is_object() && at->contains("$id")) {
        return Refuse(Below(canonical, "$id"), "only at the root");
      }
    }
    return std::make_pair(at, canonical);
  }

  static bool Unescape(const std::string& part, std::string* key) {
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

  // ---- objects

  struct Property {
    std::string name;
    const Json* schema;
    std::string pointer;
    bool required;
  };

  absl::StatusOr<std::vector<Property>> Properties(const Json& schema,
                                                   const std::string& pointer) const {
    std::vector<Property> properties;
    std::set<std::string> required;
    if (schema.contains("required")) {
      if (!schema["required"].is_array())
        return Refuse(Below(pointer, "required"), "must be a list");
      for (const Json& name : schema["required"]) {
        if (!name.is_string()) return Refuse(Below(pointer, "required"), "must be names");
        required.insert(name.get<std::string>());
      }
    }
    if (schema.contains("properties")) {
      const std::string at = Below(pointer, "properties");
      if (!schema["properties"].is_object()) return Refuse(at, "must be an object");
      for (const auto& [name, property] : schema["properties"].items()) {
        const bool needed = required.erase(name) > 0;
        const bool never = property.is_boolean() && !property.get<bool>();
        if (never && !needed) continue;
        properties.push_back({name, &property, Below(at, name), needed});
      }
    }
    static const Json& anything = *new Json(true);
    const Json& rest =
        schema.contains("additionalProperties") ? schema["additionalProperties"] : anything;
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

  absl::StatusOr<Choice> Object(const Json& schema, const std::string& pointer, int depth) {
    FACET_ASSIGN_OR_RETURN(const auto properties, Properties(schema, pointer));
    FACET_ASSIGN_OR_RETURN(const int64_t low, Count(schema, pointer, "minProperties", 0));
    FACET_ASSIGN_OR_RETURN(const int64_t high, Count(schema, pointer, "maxProperties", kMaxCount));
    if (properties.empty()) return Map(schema, pointer, depth, low, high);
    const int64_t needed =
        std::count_if(properties.begin(), properties.end(), [](auto& p) { return p.required; });
    if (low > needed) {
      return Refuse(Below(pointer, "minProperties"), "more than the required properties");
    }
    if (schema.contains("maxProperties") && high < static_cast<int64_t>(properties.size())) {
      return Refuse(Below(pointer, "maxProperties"), "fewer than the properties listed");
    }
    FACET_RETURN_IF_ERROR(CheckUnusedRest(schema, pointer));
    FACET_ASSIGN_OR_RETURN(const Rule members, Members(properties, pointer, depth));
    const std::string space = values_.Space();
    return Choice{absl::StrCat("\"{\"", space, members.name, space, "\"}\""), {members.id}};
  }

  absl::Status CheckUnusedRest(const Json& schema, const std::string& pointer) const {
    const auto rest = schema.find("additionalProperties");
    if (rest == schema.end() || rest->is_boolean() || rest->is_object()) return absl::OkStatus();
    return Refuse(Below(pointer, "additionalProperties"), "must be a schema");
  }

  // The properties in their order, those not required at will: a chain of rules, one pair for each
  // place, which say whether something stands before it.
  absl::StatusOr<Rule> Members(const std::vector<Property>& properties, const std::string& pointer,
                               int depth) {
    const std::string space = values_.Space();
    Rule first{"", -1}, later{"", -1};  // of what follows; empty: nothing
    for (size_t i = properties.size(); i-- > 0;) {
      const Property& property = properties[i];
      FACET_ASSIGN_OR_RETURN(const Rule value,
                             Visit(*property.schema, property.pointer, depth + 1));
      const std::string member =
          absl::StrCat(values_.Key(property.name), space, "\":\"", space, value.name,
                       later.name.empty() ? "" : " ", later.name);
      const auto add = [&](const std::string& before, const Rule& skipped) -> absl::StatusOr<Rule> {
        FACET_ASSIGN_OR_RETURN(const int id, NewRule(pointer));
        std::vector<Choice> choices = {{before + member, {value.id, later.id}}};
        if (!property.required) {
          choices.push_back({skipped.name.empty() ? "\"\"" : skipped.name, {skipped.id}});
        }
        FACET_RETURN_IF_ERROR(SetBody(id, choices));
        return Rule{bodies_[id].name, id};
      };
      FACET_ASSIGN_OR_RETURN(const Rule as_first, add("", first));
      FACET_ASSIGN_OR_RETURN(later, add(absl::StrCat(space, "\",\"", space), later));
      first = as_first;
    }
    return first;
  }

  // An object without listed properties: names at will, all values of one schema.
  absl::StatusOr<Choice> Map(const Json& schema, const std::string& pointer, int depth, int64_t low,
                             int64_t high) {
    const std::string space = values_.Space();
    const std::string empty = absl::StrCat("\"{\"", space, "\"}\"");
    const auto rest = schema.find("additionalProperties");
    const bool closed = rest != schema.end() && rest->is_boolean() && !rest->get<bool>();
    // A name may come twice, so more than one distinct name cannot be asked for.
    if (low > 1 || (closed && low > 0)) {
      return Refuse(Below(pointer, "minProperties"), "more than the grammar can promise");
    }
    if (closed || high == 0) return Choice{empty, {}};
    if (rest == schema.end() && low == 0 && !schema.contains("maxProperties")) {
      return Choice{values_.AnyObject(), {}};
    }
    Rule value{values_.Any()};
    if (rest != schema.end()) {
      FACET_ASSIGN_OR_RETURN(value,
                             Visit(*rest, Below(pointer, "additionalProperties"), depth + 1));
    }
    const std::string pair = absl::StrCat(values_.AnyKey(), space, "\":\"", space, value.name);
    std::string ebnf = absl::StrCat(
        "\"{\"", space, pair, " ",
        Repeated(absl::StrCat(space, "\",\"", space, pair), 0,
                 schema.contains("maxProperties") ? std::optional(high - 1) : std::nullopt),
        space, "\"}\"");
    if (low == 0) return Choice{absl::StrCat("(", ebnf, " | ", empty, ")"), {}};
    return Choice{ebnf, {value.id}};
  }

  static std::string Repeated(const std::string& item, int64_t low, std::optional<int64_t> high) {
    if (high == 0) return "\"\"";
    if (low == 0 && !high) return absl::StrCat("(", item, ")*");
    return absl::StrCat("(", item, "){", low, ",", high ? absl::StrCat(*high) : "", "}");
  }

  // ---- arrays

  absl::StatusOr<Choice> Array(const Json& schema, const std::string& pointer, int depth) {
    FACET_ASSIGN_OR_RETURN(const int64_t low, Count(schema, pointer, "minItems", 0));
    std::optional<int64_t> high;
    if (schema.contains("maxItems")) {
      FACET_ASSIGN_OR_RETURN(high, Count(schema, pointer, "maxItems", kMaxCount));
    }
    const auto is_false = [](const Json& s) { return s.is_boolean() && !s.get<bool>(); };
    std::vector<Rule> prefix;
    if (schema.contains("prefixItems")) {
      const std::string at = Below(pointer, "prefixItems");
      const Json& items = schema["prefixItems"];
      if (!items.is_array() || items.empty()) return Refuse(at, "must be a list of schemas");
      for (size_t i = 0; i < items.size(); ++i) {
        if (is_false(items[i])) {
          high = std::min<int64_t>(high.value_or(i), i);
          break;
        }
        FACET_ASSIGN_OR_RETURN(const Rule rule,
                               Visit(items[i], absl::StrCat(at, "/", i), depth + 1));
        prefix.push_back(rule);
      }
    }
    const auto given = static_cast<int64_t>(prefix.size());
    Rule item{values_.Any()};
    if (schema.contains("items")) {
      if (is_false(schema["items"])) {
        high = std::min(high.value_or(given), given);
      } else {
        FACET_ASSIGN_OR_RETURN(item, Visit(schema["items"], Below(pointer, "items"), depth + 1));
      }
    }
    if (high && *high < low) return Refuse(Below(pointer, "minItems"), "no array is so long");
    if (schema.contains("uniqueItems") && schema["uniqueItems"] != false && high.value_or(2) > 1) {
      return Refuse(Below(pointer, "uniqueItems"), "this keyword is not supported");
    }
    return Items(prefix, item, low, high);
  }

  // [ a, b, item, item .. ]: the places that must be filled stand plainly, the others in a chain of
  // optional groups.
  Choice Items(const std::vector<Rule>& prefix, const Rule& item, int64_t low,
               std::optional<int64_t> high) const {
    const std::string space = values_.Space();
    const std::string comma = absl::StrCat(space, "\",\"", space);
    const std::string open = absl::StrCat("\"[\"", space), close = absl::StrCat(space, "\"]\"");
    if (high == 0) return {absl::StrCat(open, "\"]\""), {}};
    std::vector<int> needs;
    const auto given = static_cast<int64_t>(prefix.size());
    // From the last place to the first; `tail` follows the place at hand.
    std::string tail;
    const int64_t places = std::max<int64_t>(given, 1);
    if (!high || *high > places) {
      tail = " " + Repeated(absl::StrCat(comma, item.name), std::max<int64_t>(0, low - places),
                            high ? std::optional(*high - places) : std::nullopt);
      if (low > places) needs.push_back(item.id);
    }
    for (int64_t i = places; i-- > 0;) {
      if (high && i >= *high) continue;
      const Rule& rule = i < given ? prefix[i] : item;
      const std::string place = absl::StrCat(i == 0 ? "" : comma, rule.name, tail);
      if (i < low) needs.push_back(rule.id);
      tail = i < low ? absl::StrCat(" ", place) : absl::StrCat(" (", place, ")?");
    }
    return {absl::StrCat(open, tail, close), needs};
  }

  // ---- strings and numbers

  absl::StatusOr<int64_t> Count(const Json& schema, const std::string& pointer, const char* word,
                                int64_t absent, int64_t limit = kMaxCount) const {
    if (!schema.contains(word)) return absent;
    const Json& value = schema[word];
    const bool whole = value.is_number() && value.get<double>() >= 0 &&
                       std::floor(value.get<double>()) == value.get<double>();
    if (!whole) return Refuse(Below(pointer, word), "must be a number of things");
    if (value.get<double>() > static_cast<double>(limit)) {
      return Refuse(Below(pointer, word), absl::StrCat("the limit is ", limit));
    }
    return static_cast<int64_t>(value.get<double>());
  }

  absl::StatusOr<Choice> String(const Json& schema, const std::string& pointer) {
    const bool sized = schema.contains("minLength") || schema.contains("maxLength");
    if (schema.contains("pattern") && (sized || schema.contains("format"))) {
      return Refuse(Below(pointer, "pattern"), "not supported beside lengths or a format");
    }
    if (schema.contains("format") && sized) {
      return Refuse(Below(pointer, "format"), "not supported beside lengths");
    }
    for (const char* word : {"pattern", "format"}) {
      if (schema.contains(word) && !schema[word].is_string()) {
        return Refuse(Below(pointer, word), "must be a string");
      }
    }
    if (schema.contains("pattern"))
      return Pattern(schema["pattern"], false, Below(pointer, "pattern"));
    if (schema.contains("format")) {
      static const auto& formats = *new std::map<std::string, std::string>{
          {"date", kDate},
          {"time", kTime},
          {"date-time", absl::StrCat(kDate, "T", kTime)},
          {"uuid", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"},
          {"ipv4", absl::StrCat("(", kByte, "\\.){3}", kByte)},
          {"email",
           "[A-Za-z0-9_+-]{1,32}(\\.[A-Za-z0-9_+-]{1,16}){0,2}@[A-Za-z0-9]{1,32}"
           "(\\.[A-Za-z]{2,12}){1,3}"}};
      const auto found = formats.find(schema["format"].get<std::string>());
      if (found == formats.end()) {
        return Refuse(Below(pointer, "format"), "only date, time, date-time, uuid, ipv4 and email");
      }
      return Pattern(found->second, true, Below(pointer, "format"));
    }
    FACET_ASSIGN_OR_RETURN(const int64_t low, Count(schema, pointer, "minLength", 0, kMaxLength));
    if (!schema.contains("maxLength")) return Choice{values_.SizedString(low, std::nullopt), {}};
    FACET_ASSIGN_OR_RETURN(const int64_t high, Count(schema, pointer, "maxLength", 0, kMaxLength));
    if (low > high) return Refuse(Below(pointer, "minLength"), "more than maxLength");
    return Choice{values_.SizedString(low, high), {}};
  }

  absl::StatusOr<Choice> Pattern(const std::string& pattern, bool whole,
                                 const std::string& pointer) const {
    const auto ebnf = PatternToEbnf(pattern, {.syntax = options_.syntax, .whole = whole});
    if (!ebnf.ok()) return Refuse(pointer, ebnf.status().message());
    return Choice{values_.String(*ebnf), {}};
  }

  absl::StatusOr<Choice> Number(const std::string& type, const Json& schema,
                                const std::string& pointer) const {
    if (schema.contains("multipleOf") && (type != "integer" || schema["multipleOf"] != 1)) {
      return Refuse(Below(pointer, "multipleOf"), "only 1, for integers");
    }
    for (const char* word : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}) {
      if (!schema.contains(word)) continue;
      const Json& value = schema[word];
      if (!value.is_number() ||
          std::abs(value.get<double>()) > static_cast<double>(kLargestNumberBound)) {
        return Refuse(Below(pointer, word),
                      absl::StrCat("must be a number of at most ", kLargestNumberBound));
      }
    }
    IntegerRange integers, decimals;
    const auto raise = [](std::optional<int64_t>& low, double to) {
      low = std::max(low.value_or(INT64_MIN), static_cast<int64_t>(to));
    };
    const auto lower = [](std::optional<int64_t>& high, double to) {
      high = std::min(high.value_or(INT64_MAX), static_cast<int64_t>(to));
    };
    std::string last;
    for (const char* word : {"minimum", "exclusiveMinimum"}) {
      if (!schema.contains(word)) continue;
      const double bound = schema[word].get<double>();
      raise(integers.low, *word == 'e' ? std::floor(bound) + 1 : std::ceil(bound));
      raise(decimals.low, std::ceil(bound));
      last = word;
    }
    for (const char* word : {"maximum", "exclusiveMaximum"}) {
      if (!schema.contains(word)) continue;
      const double bound = schema[word].get<double>();
      lower(integers.high, *word == 'e' ? std::ceil(bound) - 1 : std::floor(bound));
      lower(decimals.high, std::floor(bound));
      last = word;
    }
    const std::string ebnf = type == "number"   ? NumberEbnf(integers, decimals)
                             : integers.Empty() ? ""
                                                : IntegerEbnf(integers);
    if (ebnf.empty()) {
      return Refuse(Below(pointer, last), "the grammar knows no number within these bounds");
    }
    return Choice{ebnf, {}};
  }

  static constexpr char kDate[] = "[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])";
  static constexpr char kTime[] =
      "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9]"
      ")";
  static constexpr char kByte[] = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";

  const SchemaGrammarOptions options_;
  ValueRules values_;
  Json root_;
  std::vector<Body> bodies_;
  absl::flat_hash_map<std::string, int> ids_;
  size_t bytes_ = 0;
};

}  // namespace

absl::StatusOr<SchemaGrammar> SchemaToGrammar(absl::string_view schema,
                                              const SchemaGrammarOptions& options) {
  return SchemaConverter(options).Convert(schema);
}

SchemaGrammar AnyObjectGrammar(const SchemaGrammarOptions& options) {
  const ValueRules values(options);
  return {values.Common(), values.AnyObject()};
}

}  // namespace facet
