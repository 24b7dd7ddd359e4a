#include "router/text_calls.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "router/chat/chat_work.h"
#include "router/generate_work.h"
#include "router/media_target.h"

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
                                    const RequestContext& context,
                                    v1::CountTokensResponse* response) const {
  FACET_RETURN_IF_ERROR(validator_->ValidateModel(request.model()));
  std::vector<int32_t> ids;
  MediaInputs media;
  if (request.has_chat()) {
    if (request.has_prompt() || !request.media().empty()) {
      return absl::InvalidArgumentError("chat is set beside prompt or media; one is counted");
    }
    FACET_ASSIGN_OR_RETURN(ChatPrompt prompt, chat_->Make(request.chat()));
    ids = std::move(prompt.token_ids);
    media = MediaOf(request.chat());
  } else {
    FACET_RETURN_IF_ERROR(validator_->ValidatePrompt(request.prompt()));
    FACET_ASSIGN_OR_RETURN(ids, prompts_->Build(request.prompt()));
    media = MediaOf(request.media());
  }
  FACET_RETURN_IF_ERROR(media_->Validate(media));
  MediaTarget target = TargetOf(media, *groups_, context);
  target.max_image_tokens = 0;  // a count is not a request
  FACET_ASSIGN_OR_RETURN(const ExpandedPrompt prompt,
                         media_->Measure(std::move(ids), media, target));
  response->set_prompt_tokens(static_cast<int32_t>(prompt.token_ids.size()));
  response->mutable_media()->Add(prompt.usage.begin(), prompt.usage.end());
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
