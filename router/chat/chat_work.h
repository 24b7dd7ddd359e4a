#ifndef FACET_ROUTER_CHAT_CHAT_WORK_H_
#define FACET_ROUTER_CHAT_CHAT_WORK_H_

#include "absl/status/statusor.h"
#include "proto/facet/v1/chat.pb.h"
#include "router/call_work.h"
#include "router/chat/chat_prompts.h"
#include "router/media/media_input.h"
#include "router/request_context.h"
#include "router/router_parts.h"

namespace facet {

// Validates a Chat request, renders and tokenizes its prompt, puts its media in (which blocks while
// they are encoded) and fits it to the context; the output gives v1::ChatResponse. Errors as those
// of ChatPrompts and MediaPrompts. Thread-safe.
absl::StatusOr<CallWork> PrepareChat(const RouterParts& parts, const ChatPrompts& chat,
                                     const RequestContext& context, const v1::ChatRequest& request);

// The media of all messages, in the order in which the prompt has them.
MediaInputs MediaOf(const v1::ChatRequest& request);

}  // namespace facet

#endif  // FACET_ROUTER_CHAT_CHAT_WORK_H_
