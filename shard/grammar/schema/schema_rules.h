#ifndef FACET_SHARD_GRAMMAR_SCHEMA_SCHEMA_RULES_H_
#define FACET_SHARD_GRAMMAR_SCHEMA_SCHEMA_RULES_H_

// From a schema to rules: the inside of SchemaToGrammar. One file for each sort of values.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "shard/grammar/schema/rule_table.h"
#include "shard/grammar/schema/schema_document.h"
#include "shard/grammar/schema/schema_keywords.h"
#include "shard/grammar/schema/schema_merge.h"
#include "shard/grammar/schema_grammar.h"
#include "shard/grammar/value_rules.h"

namespace facet {

class SchemaRules {
 public:
  SchemaRules(const SchemaGrammarOptions& options, SchemaDocument document)
      : options_(options),
        document_(std::move(document)),
        merger_(&document_),
        values_(options),
        table_(options.prefix) {}

  absl::StatusOr<SchemaGrammar> Convert();

 private:
  using Json = SchemaJson;
  using Rule = RuleTable::Rule;
  using Choice = RuleTable::Choice;
  struct Property {
    std::string name;
    const Json* schema;
    std::string pointer;
    bool required;
  };

  // schema_rules.cc. A schema is visited once for each place in the document, so that it may refer
  // to itself.
  absl::StatusOr<Rule> Visit(const Json& schema, const std::string& pointer, int depth);
  // `place`: where in the document `schema` stands or what it was made of; null: nowhere.
  absl::StatusOr<Rule> VisitObject(const Json& schema, const Json* place,
                                   const std::string& pointer, int depth);
  absl::Status CheckKeywords(const Json& schema, const std::string& pointer) const;
  absl::StatusOr<Choice> OfType(const std::string& type, const Json& schema,
                                const std::string& pointer, int depth);
  std::string AnyOfType(const std::string& type) const;
  // The value of a keyword that counts.
  static absl::StatusOr<int64_t> Count(const Json& schema, const std::string& pointer,
                                       const char* word, int64_t absent, int64_t limit);
  static std::string Repeated(const std::string& item, int64_t low, std::optional<int64_t> high);

  // whole_rules.cc: $ref, anyOf, oneOf, enum, const.
  absl::Status VisitWhole(const Json& schema, const std::string& pointer, int depth,
                          std::vector<Choice>* choices);
  absl::Status Values(const Json& values, const Json& schema, const std::string& pointer,
                      std::vector<Choice>* choices) const;
  // A value of one branch must not satisfy another.
  absl::Status CheckExclusive(const Json& branches, const std::string& pointer, int depth) const;
  absl::StatusOr<bool> Exclude(const Json& a, const Json& b, const std::string& pointer,
                               int depth) const;
  absl::StatusOr<bool> DiscriminatorsDiffer(const Json& a, const Json& b,
                                            const std::string& pointer) const;

  // object_rules.cc
  absl::StatusOr<Choice> Object(const Json& schema, const std::string& pointer, int depth);
  absl::StatusOr<std::vector<Property>> Properties(const Json& schema,
                                                   const std::string& pointer) const;
  absl::StatusOr<Rule> Members(const std::vector<Property>& properties, const std::string& pointer,
                               int depth);
  absl::StatusOr<Choice> Map(const Json& schema, const std::string& pointer, int depth, int64_t low,
                             int64_t high);

  // array_rules.cc
  absl::StatusOr<Choice> Array(const Json& schema, const std::string& pointer, int depth);
  Choice Items(const std::vector<Rule>& prefix, const Rule& item, int64_t low,
               std::optional<int64_t> high) const;

  // string_rules.cc
  absl::StatusOr<Choice> String(const Json& schema, const std::string& pointer);

  // number_rules.cc
  absl::StatusOr<Choice> Number(const std::string& type, const Json& schema,
                                const std::string& pointer) const;

  const SchemaGrammarOptions options_;
  const SchemaDocument document_;
  SchemaMerger merger_;
  ValueRules values_;
  RuleTable table_;
  absl::flat_hash_map<const Json*, int> ids_;  // of the document's schemas
  int visits_ = 0;
  int merged_ = 0;  // above zero: what is visited is no part of the document
  std::vector<std::string> not_enforced_;
};

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_SCHEMA_SCHEMA_RULES_H_
