#ifndef FACET_SERVICES_GATEWAY_OPENAI_CHAT_TOOLS_H_
#define FACET_SERVICES_GATEWAY_OPENAI_CHAT_TOOLS_H_

#include "absl/status/status.h"
#include "proto/facet/v1/chat.pb.h"
#include "services/gateway/openai/json_fields.h"

namespace facet {

// tools, tool_choice, parallel_tool_calls. A tool that is named must be among the tools.
absl::Status ReadTools(const JsonFields& request, v1::ChatRequest* out);

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_OPENAI_CHAT_TOOLS_H_
