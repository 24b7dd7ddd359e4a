#ifndef FACET_SERVICES_GATEWAY_OPENAI_CHAT_MESSAGES_H_
#define FACET_SERVICES_GATEWAY_OPENAI_CHAT_MESSAGES_H_

#include "absl/status/status.h"
#include "proto/facet/v1/chat.pb.h"
#include "services/gateway/openai/json_fields.h"

namespace facet {

// `messages` of a chat request. Content is a string or an array of parts. What only tells of an
// earlier answer (refusal, annotations, ...) is ignored, so that an answer can be sent back as it
// came.
absl::Status ReadMessages(const JsonFields& request, v1::ChatRequest* out);

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_OPENAI_CHAT_MESSAGES_H_
