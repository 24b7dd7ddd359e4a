#ifndef FACET_SHARD_GRAMMAR_GRAMMAR_TEXT_H_
#define FACET_SHARD_GRAMMAR_GRAMMAR_TEXT_H_

// Pieces of EBNF as text, and what differs between the two notations of one value.

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "shard/grammar/automaton/code_points.h"

namespace facet {

// JSON, or the notation of Gemma's tool calls: strings between two <|"|> tokens and without
// escapes, bare keys, no white space.
enum class ValueSyntax { kJson, kCall };

// Ids of the control tokens of a call; -1: the vocabulary has no such token.
struct CallTokens {
  int32_t call_begin = -1;  // <|tool_call>
  int32_t call_end = -1;    // <tool_call|>
  int32_t quote = -1;       // <|"|>
};

// "..." that matches the bytes of a UTF-8 text.
std::string EbnfLiteral(absl::string_view utf8);
// [...] that matches one code point of a set; empty for the empty set.
std::string EbnfClass(const CodePointSet& set);
// One character of a string's content out of `set`, escaped as the syntax asks: in JSON `"`, `\`
// and \t \n \r by their escapes, other control characters not at all. Empty: there is none.
std::string EbnfStringCharacter(const CodePointSet& set, ValueSyntax syntax);

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_GRAMMAR_TEXT_H_
