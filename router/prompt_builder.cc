#include "router/prompt_builder.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {

absl::StatusOr<std::vector<int32_t>> PromptBuilder::Build(const v1::Prompt& prompt) const {
  if (prompt.has_token_ids()) {
    return std::vector<int32_t>(prompt.token_ids().ids().begin(), prompt.token_ids().ids().end());
  }
  if (prompt.add_bos() && !model_->bos_token_id.has_value()) {
    return absl::FailedPreconditionError(
        "prompt.add_bos is true; the checkpoint names no beginning-of-sequence token");
  }
  const bool add_bos = !prompt.has_add_bos() || prompt.add_bos();
  return Encode(prompt.text(), prompt.parse_special(), add_bos && model_->bos_token_id.has_value());
}

absl::StatusOr<std::vector<int32_t>> PromptBuilder::Encode(const std::string& text,
                                                           bool parse_special, bool add_bos) const {
  if (model_->tokenizer == nullptr) {
    return absl::FailedPreconditionError("the model has no tokenizer");
  }
  if (add_bos && !model_->bos_token_id.has_value()) {
    return absl::FailedPreconditionError(
        "add_bos is true; the checkpoint names no beginning-of-sequence token");
  }
  Tokenizer::EncodeOptions options;
  options.parse_special = parse_special;
  FACET_ASSIGN_OR_RETURN(std::vector<int32_t> ids, model_->tokenizer->Encode(text, options));
  if (add_bos && (ids.empty() || ids.front() != *model_->bos_token_id)) {
    ids.insert(ids.begin(), *model_->bos_token_id);
  }
  for (const int32_t id : ids) {
    if (id >= model_->vocab_size()) {
      return absl::InvalidArgumentError(absl::StrCat("the text holds token ", id,
                                                     " of the tokenizer; the model has only 0 to ",
                                                     model_->vocab_size() - 1));
    }
  }
  return ids;
}

}  // namespace facet
