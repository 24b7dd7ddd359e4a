#ifndef FACET_SHARD_GRAMMAR_AUTOMATON_EBNF_H_
#define FACET_SHARD_GRAMMAR_AUTOMATON_EBNF_H_

// Grammars as rules in EBNF:
//
//   root ::= item ("," item){0,9}      # repetitions: * + ? {2} {2,} {2,5}
//   item ::= [a-z_]+ | "0x" [^g-zG-Z]  # escapes: \n \r \t \\ \" \' \- \] \[ \^ \x41 \u00e9
//   \U0001f600

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "shard/grammar/automaton/code_points.h"

namespace facet {

struct EbnfExpression {
  enum class Kind {
    kText,      // `text`, maybe empty
    kClass,     // one code point of `set`
    kToken,     // the token with id `number`, whatever its text
    kRule,      // rule `number`
    kSequence,  // `parts`, one after the other
    kChoice,    // one of `parts`
    kRepeat,    // parts[0], `low` to `high` times; high < 0: without a limit
  };
  Kind kind = Kind::kText;
  std::string text = {};
  CodePointSet set = {};
  int32_t number = -1;
  int64_t low = 0, high = 0;
  std::vector<EbnfExpression> parts = {};
};

struct EbnfRule {
  std::string name;
  EbnfExpression body;
};

struct EbnfGrammar {
  std::vector<EbnfRule> rules;
  int root = 0;  // into rules
};

struct EbnfLimits {
  size_t max_bytes = 0;
  int max_rules = 0;
  int max_nesting = 0;  // of groups
  bool tokens = false;  // Token(52) is an element
};

// What a caller may write, and what we write for a schema.
inline constexpr EbnfLimits kCallersEbnf = {32 << 10, 200, 32, false};
inline constexpr EbnfLimits kOwnEbnf = {4 << 20, 20'000, 1100, true};
// In one repetition.
inline constexpr int64_t kMaxRepetitions = 10'000;

// InvalidArgument, with the line, for what is no grammar or over a limit. Every rule that is named
// exists, and so does `root`.
absl::StatusOr<EbnfGrammar> ParseEbnf(absl::string_view text, const EbnfLimits& limits);

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_AUTOMATON_EBNF_H_
