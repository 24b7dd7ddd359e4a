#ifndef FACET_MODEL_CHAT_CHECK_H_
#define FACET_MODEL_CHAT_CHECK_H_

#include "absl/status/status.h"
#include "model/chat/conversation.h"

namespace facet {

// InvalidArgument naming the message and the field ("messages[3].tool_calls[0].arguments: ..."):
//   - no messages;
//   - a field that the message's role does not have, or a medium in a leading system message;
//   - a name of a tool, call or result that is not [A-Za-z0-9_.-]{1,64}, a tool declared twice;
//   - arguments that are no object, JSON deeper than kMaxJsonDepth, text that is no UTF-8;
//   - a tool result that follows no call, or whose id is of none of the calls it follows;
//   - a prompt to generate from that ends in a call without a result.
absl::Status CheckConversation(const Conversation& conversation);

}  // namespace facet

#endif  // FACET_MODEL_CHAT_CHECK_H_
