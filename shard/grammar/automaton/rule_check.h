#ifndef FACET_SHARD_GRAMMAR_AUTOMATON_RULE_CHECK_H_
#define FACET_SHARD_GRAMMAR_AUTOMATON_RULE_CHECK_H_

#include "absl/status/status.h"
#include "shard/grammar/automaton/ebnf.h"

namespace facet {

// Makes a grammar fit for reading from left to right: a rule that begins with itself becomes a
// repetition (sum ::= sum "+" n | n is n ("+" n)*), and what no finite text can satisfy is cut out,
// so that whatever has begun can also end. InvalidArgument: a rule still begins with itself, by way
// of others or after nothing; no finite text matches at all.
absl::Status PrepareRules(EbnfGrammar* grammar);

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_AUTOMATON_RULE_CHECK_H_
