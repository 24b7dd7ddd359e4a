#ifndef FACET_SHARD_GRAMMAR_SCHEMA_RULE_TABLE_H_
#define FACET_SHARD_GRAMMAR_SCHEMA_RULE_TABLE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace facet {

// The rules of a schema's places, under construction.
class RuleTable {
 public:
  static constexpr size_t kMaxRules = 2000;
  static constexpr size_t kMaxBytes = 1 << 20;

  // An element of EBNF, and the rule it names; -1: it names none of this table.
  struct Rule {
    std::string ebnf;
    int id = -1;
  };
  // An alternative, and the rules that it cannot do without.
  struct Choice {
    std::string ebnf;
    std::vector<int> needs;
  };

  explicit RuleTable(std::string prefix) : prefix_(std::move(prefix)) {}

  size_t size() const { return rules_.size(); }
  // A rule without a body, of the schema at `pointer`. Refused there: there are too many.
  absl::StatusOr<int> New(const std::string& pointer);
  absl::Status SetBody(int id, const std::vector<Choice>& choices);
  Rule Get(int id) const { return {rules_[static_cast<size_t>(id)].name, id}; }
  // Takes back all rules from the `size`-th on.
  void Shrink(size_t size);

  // Refused at the pointer of a rule without a finite value, such as an object that must hold
  // itself.
  absl::Status CheckThatValuesEnd() const;
  std::string Ebnf() const;

 private:
  struct Body {
    std::string name, pointer, ebnf;
    std::vector<std::vector<int>> alternatives;  // what each needs
  };
  const std::string prefix_;
  std::vector<Body> rules_;
  size_t bytes_ = 0;
};

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_SCHEMA_RULE_TABLE_H_
