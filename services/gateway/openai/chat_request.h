#ifndef FACET_SERVICES_GATEWAY_OPENAI_CHAT_REQUEST_H_
#define FACET_SERVICES_GATEWAY_OPENAI_CHAT_REQUEST_H_

#include "absl/status/statusor.h"
#include "proto/facet/v1/chat.pb.h"
#include "services/gateway/openai/request_options.h"

namespace facet {

struct ChatQuery {
  v1::ChatRequest request;
  AnswerOptions answer;
};

// The body of POST /v1/chat/completions (docs/openai.md lists the fields). A field that it does not
// know is refused, unless `ignore_unknown`. What needs the model or its tokenizer is left to the
// router to check.
absl::StatusOr<ChatQuery> ReadChatRequest(const Json& body, bool ignore_unknown);

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_OPENAI_CHAT_REQUEST_H_
