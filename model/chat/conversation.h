#ifndef FACET_MODEL_CHAT_CONVERSATION_H_
#define FACET_MODEL_CHAT_CONVERSATION_H_

// What a chat is made of, apart from how clients spell it: the input of the chat template
// (chat_template.h). Plain values; conversation_json.h makes them of JSON, check.h says which are
// sound.

#include <optional>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"

namespace facet {

// JSON whose objects keep the order of their members and whose numbers keep apart integers and
// doubles: 15 and 15.0 are different prompts. ordered_json.h parses it, and says how an integer
// beyond 64 bits is held.
using OrderedJson = nlohmann::ordered_json;

enum class Role { kSystem, kDeveloper, kUser, kAssistant, kTool };

// "system", "developer", "user", "assistant" or "tool".
const char* Name(Role role);

struct ContentPart {
  // A medium is a placeholder here: the template only says where it stands.
  enum class Kind { kText, kJson, kImage, kAudio, kVideo };
  Kind kind = Kind::kText;
  std::string text;  // kText, UTF-8
  OrderedJson json;  // kJson, in messages of role tool: a result that is no text
};

struct ToolCall {
  std::string id;  // empty: none
  std::string name;
  OrderedJson arguments;  // an object, or null for none
};

// A result that stands in the message of its call, instead of in one of role tool.
struct ToolResponse {
  std::string name;  // empty: not known
  OrderedJson response;
};

struct Message {
  Role role = Role::kUser;
  std::vector<ContentPart> content;
  // Whether the content came as one string rather than as a list of parts. The template renders
  // a system message by it: each part of a list is followed by a space.
  bool content_is_string = true;
  std::string reasoning;                     // kAssistant: the thought before the answer
  std::vector<ToolCall> tool_calls;          // kAssistant
  std::vector<ToolResponse> tool_responses;  // kAssistant
  std::string tool_call_id;                  // kTool: the call that this answers; empty: not said
  std::string name;                          // kTool: of the function, where no id says it
};

struct Tool {
  std::string name;
  std::string description;
  OrderedJson parameters;               // JSON Schema of the arguments; null: none
  std::optional<OrderedJson> response;  // JSON Schema of the result
};

struct Conversation {
  std::vector<Message> messages;
  std::vector<Tool> tools;
  bool enable_thinking = false;
  // Thoughts of earlier rounds stay where they came with tool calls.
  bool preserve_thinking = false;
  // Ends the prompt where the model is to write its answer.
  bool add_generation_prompt = true;
};

}  // namespace facet

#endif  // FACET_MODEL_CHAT_CONVERSATION_H_
