#ifndef FACET_ROUTER_CHAT_CONVERSATION_PROTO_H_
#define FACET_ROUTER_CHAT_CONVERSATION_PROTO_H_

#include "absl/status/statusor.h"
#include "model/chat/conversation.h"
#include "proto/facet/v1/chat.pb.h"

namespace facet {

// The messages, tools and switches of a request, in the form that the chat template takes; JSON
// text is parsed. A message of one text is a string to the template, one of several parts a list.
//
// InvalidArgument names the place ("messages[2].tool_calls[0].arguments: ..."): no role, a system
// or developer message that is not the first, a part without content, JSON that is none or of
// another kind than the field takes, media of another role than USER and TOOL. Of media only the
// kind is taken; what is no matter of form is left to CheckConversation (model/chat/check.h).
// Thread-safe.
absl::StatusOr<Conversation> ConversationFromProto(const v1::ChatRequest& request);

}  // namespace facet

#endif  // FACET_ROUTER_CHAT_CONVERSATION_PROTO_H_
