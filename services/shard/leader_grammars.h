#ifndef FACET_SERVICES_SHARD_LEADER_GRAMMARS_H_
#define FACET_SERVICES_SHARD_LEADER_GRAMMARS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "model/config.h"
#include "shard/grammar/grammar_compiler.h"

namespace facet {

// The compiler for the grammars of answers: from tokenizer.json of the checkpoint, and from its end
// tokens, those of chats included. Null if there is no such file, or its ids do not fit the model
// (which is logged); then requests with grammars are refused.
absl::StatusOr<std::unique_ptr<GrammarCompiler>> LoadGrammarCompiler(const std::string& model_dir,
                                                                     const ModelConfig& config);

}  // namespace facet

#endif  // FACET_SERVICES_SHARD_LEADER_GRAMMARS_H_
