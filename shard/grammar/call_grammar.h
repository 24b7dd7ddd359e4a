#ifndef FACET_SHARD_GRAMMAR_CALL_GRAMMAR_H_
#define FACET_SHARD_GRAMMAR_CALL_GRAMMAR_H_

#include <string>

#include "absl/status/statusor.h"
#include "shard/grammar/grammar_spec.h"
#include "shard/grammar/grammar_text.h"

namespace facet {

// EBNF (with the rule `root`) of an answer that may or must call the tools of a kToolCalls spec:
//   <|tool_call>call:NAME{key:value,..}<tool_call|>
// with each tool's schema enforced on its arguments. InvalidArgument names the tool and, as
// SchemaToGrammar does, the place in its schema. FailedPrecondition: the vocabulary lacks one of
// the control tokens.
absl::StatusOr<std::string> ToolCallGrammar(const GrammarSpec& spec, const CallTokens& tokens,
                                            std::vector<std::string>* not_enforced);

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_CALL_GRAMMAR_H_
