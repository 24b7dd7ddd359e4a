#ifndef FACET_ROUTER_TEXT_CALLS_H_
#define FACET_ROUTER_TEXT_CALLS_H_

#include "absl/status/status.h"
#include "proto/facet/v1/generation.pb.h"
#include "router/chat/chat_prompts.h"
#include "router/group_directory.h"
#include "router/media/media_prompts.h"
#include "router/metrics.h"
#include "router/prompt_builder.h"
#include "router/request_context.h"
#include "router/request_validator.h"
#include "router/served_model.h"

namespace facet {

// The calls that need text and no shard group. Errors as RequestValidator's and PromptBuilder's.
//
// Thread-safe. Each takes the time of its text.
class TextCalls {
 public:
  // All must outlive it.
  TextCalls(const ServedModel* model, const RequestValidator* validator,
            const PromptBuilder* prompts, const ChatPrompts* chat, MediaPrompts* media,
            const GroupDirectory* groups, RouterMetrics* metrics)
      : model_(model),
        validator_(validator),
        prompts_(prompts),
        chat_(chat),
        media_(media),
        groups_(groups),
        metrics_(metrics) {}

  absl::Status Tokenize(const v1::TokenizeRequest& request, v1::TokenizeResponse* response) const;
  absl::Status Detokenize(const v1::DetokenizeRequest& request,
                          v1::DetokenizeResponse* response) const;
  // Counts prompts that are too long for the context too. With media it waits for encoders, and has
  // the errors of MediaPrompts.
  absl::Status CountTokens(const v1::CountTokensRequest& request, const RequestContext& context,
                           v1::CountTokensResponse* response) const;
  // The prompt of a request that Chat would take, lengths in tokens aside; a placeholder stands for
  // each medium, which nobody looks at. Errors as ChatPrompts'.
  absl::Status RenderChat(const v1::ChatRequest& request, v1::RenderChatResponse* response) const;

 private:
  const ServedModel* const model_;
  const RequestValidator* const validator_;
  const PromptBuilder* const prompts_;
  const ChatPrompts* const chat_;
  MediaPrompts* const media_;
  const GroupDirectory* const groups_;
  RouterMetrics* const metrics_;
};

}  // namespace facet

#endif  // FACET_ROUTER_TEXT_CALLS_H_
