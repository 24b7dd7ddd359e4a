#include "model/answer/argument_schema.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace facet {
namespace {

using Json = ArgumentSchema::Json;

const Json* Member(const Json* object, const std::string& key) {
  if (object == nullptr || !object->is_object()) return nullptr;
  const auto it = object->find(key);
  return it == object->end() ? nullptr : &*it;
}

JsonTypes TypeNamed(absl::string_view name) {
  constexpr std::pair<absl::string_view, JsonTypes> kNames[] = {
      {"null", kNullType},       {"boolean", kBooleanType},
      {"integer", kIntegerType}, {"number", kNumberType | kIntegerType},
      {"string", kStringType},   {"array", kArrayType},
      {"object", kObjectType},
  };
  for (const auto& [known, types] : kNames) {
    if (absl::EqualsIgnoreCase(name, known)) return types;
  }
  return kAnyType;
}

JsonTypes TypeOf(const Json& value) {
  if (value.is_null()) return kNullType;
  if (value.is_boolean()) return kBooleanType;
  if (value.is_string()) return kStringType;
  if (value.is_array()) return kArrayType;
  if (value.is_object()) return kObjectType;
  return value.is_number_float() ? kNumberType : kNumberType | kIntegerType;
}

// "type": a name or a list of names; 0 if it says nothing.
JsonTypes DeclaredTypes(const Json* type) {
  if (type == nullptr) return 0;
  if (type->is_string()) return TypeNamed(type->get_ref<const std::string&>());
  if (!type->is_array()) return 0;
  JsonTypes types = 0;
  for (const Json& name : *type) {
    types |= name.is_string() ? TypeNamed(name.get_ref<const std::string&>()) : kAnyType;
  }
  return types;
}

constexpr const char* kUnions[] = {"anyOf", "oneOf", "allOf"};

}  // namespace

const Json* ArgumentSchema::Resolve(const Json* node, int* steps) const {
  while (--*steps >= 0) {
    const Json* ref = Member(node, "$ref");
    if (ref == nullptr) return node;
    if (!ref->is_string() || !absl::StartsWith(ref->get_ref<const std::string&>(), "#")) {
      return nullptr;
    }
    node = root_;
    const absl::string_view path(ref->get_ref<const std::string&>());
    for (const absl::string_view step : absl::StrSplit(path.substr(1), '/', absl::SkipEmpty())) {
      node = Member(node,
                    absl::StrReplaceAll(absl::StrReplaceAll(step, {{"~1", "/"}}), {{"~0", "~"}}));
    }
  }
  return nullptr;
}

JsonTypes ArgumentSchema::Types() const {
  int steps = kMaxSteps;
  return Types(node_, &steps);
}

JsonTypes ArgumentSchema::Types(const Json* node, int* steps) const {
  node = Resolve(node, steps);
  if (node == nullptr) return kAnyType;
  JsonTypes types = DeclaredTypes(Member(node, "type"));
  const Json* nullable = Member(node, "nullable");
  const bool may_be_null = nullable != nullptr && nullable->is_boolean() && nullable->get<bool>();
  if (types == 0) {
    if (const Json* members = Member(node, "enum"); members != nullptr && members->is_array()) {
      for (const Json& member : *members) types |= TypeOf(member);
    }
    if (const Json* value = Member(node, "const"); value != nullptr) types |= TypeOf(*value);
  }
  for (const char* name : kUnions) {
    if (types != 0) break;
    const Json* branches = Member(node, name);
    if (branches == nullptr || !branches->is_array()) continue;
    const bool all = absl::string_view(name) == "allOf";
    if (all) types = kAnyType;
    for (const Json& branch : *branches) {
      const JsonTypes more = Types(&branch, steps);
      types = all ? types & more : types | more;
    }
  }
  if (types == 0) return kAnyType;
  return types | (may_be_null ? kNullType : 0);
}

template <typename Find>
const Json* ArgumentSchema::Search(const Json* node, int* steps, const Find& find) const {
  node = Resolve(node, steps);
  if (node == nullptr) return nullptr;
  if (const Json* found = find(node); found != nullptr) return found;
  for (const char* name : kUnions) {
    const Json* branches = Member(node, name);
    if (branches == nullptr || !branches->is_array()) continue;
    for (const Json& branch : *branches) {
      if (const Json* found = Search(&branch, steps, find); found != nullptr) return found;
    }
  }
  return nullptr;
}

ArgumentSchema ArgumentSchema::Property(const std::string& key) const {
  int steps = kMaxSteps;
  const Json* found = Search(
      node_, &steps, [&key](const Json* node) { return Member(Member(node, "properties"), key); });
  if (found == nullptr) {
    found = Search(node_, &steps,
                   [](const Json* node) { return Member(node, "additionalProperties"); });
  }
  return ArgumentSchema(root_, found);
}

ArgumentSchema ArgumentSchema::Items() const {
  int steps = kMaxSteps;
  return ArgumentSchema(
      root_, Search(node_, &steps, [](const Json* node) { return Member(node, "items"); }));
}

}  // namespace facet
