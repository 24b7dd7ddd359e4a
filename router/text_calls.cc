#include "router/text_calls.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace facet {
namespace {

std::string Piece(const Tokenizer& tokenizer, int32_t id) {
  uint8_t byte = 0;
  if (tokenizer.IsByte(id, &byte)) return std::string(1, static_cast<char>(byte));
  return std::string(tokenizer.IdToText(id));
}

}  // namespace

absl::Status TextCalls::Tokenize(const v1::TokenizeRequest& request,
                                 v1::TokenizeResponse* response) const {
  FACET_RETURN_IF_ERROR(validator_->ValidateModel(request.model()));
  FACET_RETURN_IF_ERROR(validator_->ValidateText("text", request.text()));
  const absl::Time began = absl::Now();
  FACET_ASSIGN_OR_RETURN(
      const std::vector<int32_t> ids,
      prompts_->Encode(request.text(), request.parse_special(), request.add_bos()));
  metrics_->tokenize_seconds.Observe(absl::ToDoubleSeconds(absl::Now() - began));
  response->mutable_token_ids()->Add(ids.begin(), ids.end());
  for (const int32_t id : ids) response->add_pieces(Piece(*model_->tokenizer, id));
  return absl::OkStatus();
}

absl::Status TextCalls::Detokenize(const v1::DetokenizeRequest& request,
                                   v1::DetokenizeResponse* response) const {
  FACET_RETURN_IF_ERROR(validator_->ValidateModel(request.model()));
  for (int i = 0; i < request.token_ids_size(); ++i) {
    const int32_t id = request.token_ids(i);
    if (id < 0 || id >= model_->vocab_size()) {
      return validator_->ValidateTokenId(absl::StrCat("token_ids[", i, "]"), id);
    }
  }
  FACET_RETURN_IF_ERROR(validator_->ValidateText("text", ""));  // is there a tokenizer?
  response->set_text(
      model_->tokenizer->Decode(request.token_ids(), /*skip_special=*/!request.show_special()));
  return absl::OkStatus();
}

absl::Status TextCalls::CountTokens(const v1::CountTokensRequest& request,
                                    v1::CountTokensResponse* response) const {
  FACET_RETURN_IF_ERROR(validator_->ValidateModel(request.model()));
  FACET_RETURN_IF_ERROR(validator_->ValidatePrompt(request.prompt()));
  FACET_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, prompts_->Build(request.prompt()));
  response->set_prompt_tokens(static_cast<int32_t>(ids.size()));
  return absl::OkStatus();
}

absl::Status TextCalls::RenderChat(const v1::ChatRequest& request,
                                   v1::RenderChatResponse* response) const {
  FACET_ASSIGN_OR_RETURN(ChatPrompt prompt, chat_->Make(request));
  response->set_prompt(std::move(prompt.text));
  response->mutable_token_ids()->Add(prompt.token_ids.begin(), prompt.token_ids.end());
  return absl::OkStatus();
}

}  // namespace facet
