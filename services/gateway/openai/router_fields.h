#ifndef FACET_SERVICES_GATEWAY_OPENAI_ROUTER_FIELDS_H_
#define FACET_SERVICES_GATEWAY_OPENAI_ROUTER_FIELDS_H_

#include <string>

#include "absl/strings/string_view.h"

namespace facet {

// The field of OpenAI's API that a message of the router is about; empty: it names none.
// `prompt_field`: what the prompt is made of, "messages" or "prompt". Such a message begins with
// the field, as the router calls it, and what is wrong:
//   "sampling.temperature is -1; allowed: .."         temperature
//   "messages[1].content[0].media: the image .."      messages[1].content[0]
//   "tools[0].parameters: .."                         tools[0].function.parameters
//   "/properties/a/not: .." (of a schema)             response_format.json_schema.schema
//   "prompt has 9000 tokens; .."                      prompt_field
std::string OpenaiFieldOf(absl::string_view router_message, const std::string& prompt_field);

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_OPENAI_ROUTER_FIELDS_H_
