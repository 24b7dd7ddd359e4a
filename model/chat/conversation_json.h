#ifndef FACET_MODEL_CHAT_CONVERSATION_JSON_H_
#define FACET_MODEL_CHAT_CONVERSATION_JSON_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/chat/conversation.h"
#include "model/json.h"

namespace facet {

// A conversation from a JSON object in the shape of OpenAI's chat completions, of which the members
// messages, tools, enable_thinking, preserve_thinking and add_generation_prompt are read (the
// first is required), and no others.
//
// A message: role; content, a string, null or a list of parts of type text, image, image_url,
// audio, input_audio and video (of media only the type is read), for role tool also an object;
// reasoning or reasoning_content; tool_calls, whose arguments are an object, null, or the JSON text
// of one; tool_responses; tool_call_id; name, kept for role tool. Other members must be null or
// empty, as clients send back what they got. A tool: {"type": "function", "function": {name,
// description, parameters, response, strict}}; strict is not read.
//
// InvalidArgument names the place, e.g. "messages[2].tool_calls[0].function.arguments: ...". What
// is no matter of spelling is left to CheckConversation.
absl::StatusOr<Conversation> ConversationFromJson(const OrderedJson& request);

// The same from JSON text, at most `limits` long and deep.
absl::StatusOr<Conversation> ParseConversation(absl::string_view text,
                                               const JsonLimits& limits = {.max_depth = 80});

}  // namespace facet

#endif  // FACET_MODEL_CHAT_CONVERSATION_JSON_H_
