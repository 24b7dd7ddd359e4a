#include "services/client/chat_request.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

using Json = nlohmann::ordered_json;

absl::Status Wrong(const std::string& path, const char* wanted) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", wanted, " is expected"));
}

absl::StatusOr<Json> Parse(const std::string& text, const char* what) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::InvalidArgumentError(absl::StrCat(what, " are no JSON"));
  return json;
}

// A member that is missing or null is the empty text; one that is no string is given as JSON text.
std::string TextOf(const Json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || object[key].is_null()) return "";
  return object[key].is_string() ? object[key].get<std::string>() : object[key].dump();
}

absl::Status AddContent(const std::string& path, const Json& message, v1::ChatMessage* out) {
  if (!message.contains("content") || message["content"].is_null()) return absl::OkStatus();
  const Json& content = message["content"];
  if (content.is_string()) {
    out->add_content()->set_text(content.get<std::string>());
  } else if (content.is_object()) {
    out->add_content()->set_json(content.dump());
  } else if (content.is_array()) {
    for (size_t i = 0; i < content.size(); ++i) {
      if (TextOf(content[i], "type") != "text") {
        return Wrong(absl::StrCat(path, ".content[", i, "].type"), "\"text\"");
      }
      out->add_content()->set_text(TextOf(content[i], "text"));
    }
  } else {
    return Wrong(path + ".content", "a string, a list of parts or an object");
  }
  return absl::OkStatus();
}

absl::Status AddMessage(const std::string& path, const Json& message, v1::ChatMessage* out) {
  static const std::map<std::string, v1::ChatMessage::Role> roles = {
      {"system", v1::ChatMessage::SYSTEM},
      {"developer", v1::ChatMessage::DEVELOPER},
      {"user", v1::ChatMessage::USER},
      {"assistant", v1::ChatMessage::ASSISTANT},
      {"tool", v1::ChatMessage::TOOL}};
  const auto role = roles.find(TextOf(message, "role"));
  if (role == roles.end()) {
    return Wrong(path + ".role", "system, developer, user, assistant or tool");
  }
  out->set_role(role->second);
  FACET_RETURN_IF_ERROR(AddContent(path, message, out));
  out->set_reasoning(TextOf(message, "reasoning"));
  if (out->reasoning().empty()) out->set_reasoning(TextOf(message, "reasoning_content"));
  out->set_tool_call_id(TextOf(message, "tool_call_id"));
  if (role->second == v1::ChatMessage::TOOL) out->set_name(TextOf(message, "name"));
  if (!message.contains("tool_calls") || message["tool_calls"].is_null()) return absl::OkStatus();
  if (!message["tool_calls"].is_array()) return Wrong(path + ".tool_calls", "a list");
  for (const Json& call : message["tool_calls"]) {
    if (!call.is_object() || !call.contains("function")) {
      return Wrong(path + ".tool_calls", "{\"id\": .., \"function\": {\"name\": .., ..}}");
    }
    v1::ToolCall* added = out->add_tool_calls();
    added->set_id(TextOf(call, "id"));
    added->set_name(TextOf(call["function"], "name"));
    added->set_arguments(TextOf(call["function"], "arguments"));
  }
  return absl::OkStatus();
}

absl::Status AddToolList(const Json& tools, v1::ChatRequest* request) {
  if (!tools.is_array()) return Wrong("tools", "a list");
  for (size_t i = 0; i < tools.size(); ++i) {
    if (!tools[i].is_object() || !tools[i].contains("function")) {
      return Wrong(absl::StrCat("tools[", i, "]"), "{\"function\": {\"name\": .., ..}}");
    }
    const Json& function = tools[i]["function"];
    v1::Tool* tool = request->add_tools();
    tool->set_name(TextOf(function, "name"));
    tool->set_description(TextOf(function, "description"));
    tool->set_parameters(TextOf(function, "parameters"));
    tool->set_response(TextOf(function, "response"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AddMessages(const std::string& text, v1::ChatRequest* request) {
  FACET_ASSIGN_OR_RETURN(const Json json, Parse(text, "the messages"));
  const bool whole = json.is_object() && json.contains("messages");
  const Json& messages = whole ? json["messages"] : json;
  if (!messages.is_array()) return Wrong("messages", "a list, or an object that has one");
  for (size_t i = 0; i < messages.size(); ++i) {
    FACET_RETURN_IF_ERROR(
        AddMessage(absl::StrCat("messages[", i, "]"), messages[i], request->add_messages()));
  }
  if (!whole || !json.contains("tools") || json["tools"].is_null()) return absl::OkStatus();
  return AddToolList(json["tools"], request);
}

absl::Status AddTools(const std::string& text, v1::ChatRequest* request) {
  FACET_ASSIGN_OR_RETURN(const Json json, Parse(text, "the tools"));
  return AddToolList(json, request);
}

}  // namespace facet
