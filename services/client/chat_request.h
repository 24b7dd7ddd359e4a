#ifndef FACET_SERVICES_CLIENT_CHAT_REQUEST_H_
#define FACET_SERVICES_CLIENT_CHAT_REQUEST_H_

#include <string>

#include "absl/status/status.h"
#include "proto/facet/v1/chat.pb.h"

namespace facet {

// Messages and tools from JSON text in the shape of OpenAI's chat completions, text only.
//   messages  [{"role": "user", "content": TEXT or [{"type": "text", "text": TEXT}, ..]}, ..], with
//             reasoning (or reasoning_content), tool_calls, tool_call_id and name where a role has
//             them; or an object whose member "messages" is that list, and "tools" the next one
//   tools     [{"type": "function", "function": {"name": .., "description": .., "parameters": ..}}]
// InvalidArgument names the place. What is sound is for the router to say.
absl::Status AddMessages(const std::string& json, v1::ChatRequest* request);
absl::Status AddTools(const std::string& json, v1::ChatRequest* request);

}  // namespace facet

#endif  // FACET_SERVICES_CLIENT_CHAT_REQUEST_H_
