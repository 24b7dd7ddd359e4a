#ifndef FACET_ROUTER_SERVED_MODEL_H_
#define FACET_ROUTER_SERVED_MODEL_H_

// What the router knows of the checkpoint that its shard groups serve: everything but the weights.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "model/chat/template_choice.h"
#include "model/config.h"
#include "model/generation_config.h"
#include "model/tokenizer/tokenizer.h"

namespace facet {

// Immutable once loaded, so thread-safe.
struct ServedModel {
  std::string name;  // what requests call it
  ModelConfig config;
  GenerationConfig generation;
  // nullptr: the checkpoint has no tokenizer.json; it is served by token ids alone.
  std::unique_ptr<Tokenizer> tokenizer;
  // The token put in front of a prompt. Of the tokenizer, by the name that tokenizer_config.json
  // gives it ("<bos>" without that file), else of config.json.
  std::optional<int32_t> bos_token_id;
  // How chats become prompts. Without a tokenizer there are none, and this says nothing.
  TemplateChoice chat_template;
  // Checkpoint::Fingerprint(), which shard groups must have too. Empty: the folder holds no
  // weights, so it cannot be known here.
  std::string fingerprint;

  int vocab_size() const { return config.vocab_size; }
};

// Reads config.json, generation_config.json, tokenizer.json and tokenizer_config.json of a folder,
// its chat template, and the headers of its weights if they are there. `name`: empty takes the
// folder's own. Logs which chat template it is. FailedPrecondition: one that is not known, which
// `unknown_template` refuses.
absl::StatusOr<std::unique_ptr<const ServedModel>> LoadServedModel(
    const std::string& model_dir, const std::string& name,
    UnknownTemplatePolicy unknown_template = UnknownTemplatePolicy::kUseOurs);

}  // namespace facet

#endif  // FACET_ROUTER_SERVED_MODEL_H_
