#ifndef FACET_SHARD_GRAMMAR_VALUE_RULES_H_
#define FACET_SHARD_GRAMMAR_VALUE_RULES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "nlohmann/json.hpp"
#include "shard/grammar/schema_grammar.h"

namespace facet {

// How values look in one of the two syntaxes, as EBNF expressions that may name rules of Common().
class ValueRules {
 public:
  explicit ValueRules(const SchemaGrammarOptions& options) : options_(options) {}

  ValueSyntax syntax() const { return options_.syntax; }
  std::string Name(absl::string_view stem) const { return options_.prefix + std::string(stem); }

  // White space between two tokens of JSON: nothing, a space, or one line break and an indent.
  std::string Space() const;
  std::string Quote() const;
  // Any character of a string.
  std::string Character() const;
  // A string of `low` to `high` characters, or of any number.
  std::string SizedString(int64_t low, std::optional<int64_t> high);
  // Any text as a property's name.
  std::string AnyKey() const { return Name("key"); }
  std::string AnyString() const { return Name("string"); }
  std::string Any() const { return Name("any5"); }
  std::string AnyObject() const { return Name("object5"); }
  std::string AnyArray() const { return Name("array5"); }
  std::string String(const std::string& content) const;
  std::string Key(const std::string& name) const;
  // Whether the syntax has a spelling for a value: calls have no escape for U+0000.
  bool CanWrite(const nlohmann::ordered_json& value) const;
  // A given value in its one spelling.
  std::string Literal(const nlohmann::ordered_json& value) const;

  // The rules that the names above refer to.
  std::string Common() const;

 private:
  const SchemaGrammarOptions options_;
  std::map<std::string, std::string> sized_;  // rules of strings with a length, by name
};

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_VALUE_RULES_H_
