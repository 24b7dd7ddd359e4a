#include "services/shard/leader_grammars.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/log.h"
#include "base/status_macros.h"
#include "model/generation_config.h"
#include "model/tokenizer/tokenizer.h"
#include "shard/grammar/grammar_vocabulary.h"

namespace facet {

absl::StatusOr<std::unique_ptr<GrammarCompiler>> LoadGrammarCompiler(const std::string& model_dir,
                                                                     const ModelConfig& config) {
  const std::filesystem::path path = std::filesystem::path(model_dir) / "tokenizer.json";
  if (!std::filesystem::exists(path)) return nullptr;
  FACET_ASSIGN_OR_RETURN(const auto tokenizer, Tokenizer::Load(path.string()));
  FACET_ASSIGN_OR_RETURN(const GenerationConfig generation,
                         LoadGenerationConfig(model_dir, config));
  std::vector<int32_t> ends(generation.eos_token_ids.begin(), generation.eos_token_ids.end());
  for (const char* name : {"<eos>", "<turn|>", "<|tool_response>"}) {
    const auto id = tokenizer->TokenToId(name);
    if (id && std::find(ends.begin(), ends.end(), *id) == ends.end()) ends.push_back(*id);
  }
  const auto vocabulary =
      GrammarVocabulary::FromTokenizer(tokenizer.get(), ends, config.vocab_size);
  if (!vocabulary.ok()) {
    FACET_LOG(Warning) << "no grammars: " << vocabulary.status();
    return nullptr;
  }
  return GrammarCompiler::Create(*vocabulary, {});
}

}  // namespace facet
