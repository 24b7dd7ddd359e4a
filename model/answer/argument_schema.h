#ifndef FACET_MODEL_ANSWER_ARGUMENT_SCHEMA_H_
#define FACET_MODEL_ANSWER_ARGUMENT_SCHEMA_H_

#include <string>

#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace facet {

// Sets of JSON types.
using JsonTypes = unsigned;
inline constexpr JsonTypes kNullType = 1, kBooleanType = 2, kIntegerType = 4, kNumberType = 8,
                           kStringType = 16, kArrayType = 32, kObjectType = 64, kAnyType = 127;

// What a JSON Schema says about the types of a value and of its parts; what it says beyond that is
// not looked at. Understands type (a name of any case, or a list), nullable, enum, const, anyOf,
// oneOf, allOf, properties, additionalProperties, items, and $ref within the same schema. Where a
// schema says nothing, or nothing that is understood, every type may stand.
//
// Borrows the schema. A value: cheap to copy. One question looks at no more than kMaxSteps parts of
// the schema, so one that refers to itself does no harm.
class ArgumentSchema {
 public:
  using Json = nlohmann::ordered_json;
  static constexpr int kMaxSteps = 128;

  ArgumentSchema() = default;  // says nothing
  explicit ArgumentSchema(const Json* schema) : root_(schema), node_(schema) {}

  JsonTypes Types() const;
  ArgumentSchema Property(const std::string& key) const;
  ArgumentSchema Items() const;

 private:
  ArgumentSchema(const Json* root, const Json* node) : root_(root), node_(node) {}

  // What `node` is, or refers to. Each step takes one of *steps; null when none is left.
  const Json* Resolve(const Json* node, int* steps) const;
  JsonTypes Types(const Json* node, int* steps) const;
  // The part of `node`, or of a branch of its unions, that `find` finds.
  template <typename Find>
  const Json* Search(const Json* node, int* steps, const Find& find) const;

  const Json* root_ = nullptr;
  const Json* node_ = nullptr;  // null: says nothing
};

}  // namespace facet

#endif  // FACET_MODEL_ANSWER_ARGUMENT_SCHEMA_H_
