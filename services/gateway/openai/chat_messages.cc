#include "services/gateway/openai/chat_messages.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "services/gateway/openai/media_parts.h"

namespace facet {
namespace {

absl::StatusOr<v1::ChatMessage::Role> ReadRole(const JsonFields& message) {
  static const auto& roles = *new std::map<std::string, v1::ChatMessage::Role>{
      {"system", v1::ChatMessage::SYSTEM}, {"developer", v1::ChatMessage::DEVELOPER},
      {"user", v1::ChatMessage::USER},     {"assistant", v1::ChatMessage::ASSISTANT},
      {"tool", v1::ChatMessage::TOOL},
  };
  FACET_ASSIGN_OR_RETURN(const std::string role, message.RequiredText("role"));
  const auto it = roles.find(role);
  if (it == roles.end()) {
    return FieldError(
        message.Path("role"),
        absl::StrCat("'", role, "' is not system, developer, user, assistant or tool"));
  }
  return it->second;
}

absl::Status ReadPart(const JsonFields& part, v1::ChatMessage* message) {
  FACET_ASSIGN_OR_RETURN(const std::string type, part.RequiredText("type"));
  if (type == "text" || type == "refusal") {
    FACET_ASSIGN_OR_RETURN(std::string text, part.RequiredText(type));
    message->add_content()->set_text(std::move(text));
    return absl::OkStatus();
  }
  if (!IsMediaPart(type)) {
    return FieldError(part.Path("type"), absl::StrCat("'", type,
                                                      "' is not text, image_url, input_audio, "
                                                      "audio_url or video_url"));
  }
  if (message->role() != v1::ChatMessage::USER && message->role() != v1::ChatMessage::TOOL) {
    return FieldError(part.Path("type"),
                      absl::StrCat("'", type, "' is allowed in user and tool messages only"));
  }
  return ReadMediaPart(part, type, message->add_content()->mutable_media());
}

absl::Status ReadContent(const JsonFields& message, v1::ChatMessage* out) {
  const Json* content = message.Find("content");
  if (content == nullptr) {
    if (out->role() == v1::ChatMessage::ASSISTANT) return absl::OkStatus();
    return FieldError(message.Path("content"), "is missing: a string or an array of parts");
  }
  if (content->is_string()) {
    if (!content->get_ref<const std::string&>().empty()) {
      out->add_content()->set_text(content->get<std::string>());
    }
    return absl::OkStatus();
  }
  if (!content->is_array()) {
    return FieldError(message.Path("content"),
                      absl::StrCat(Shown(*content), " is not a string or an array of parts"));
  }
  for (size_t i = 0; i < content->size(); ++i) {
    FACET_ASSIGN_OR_RETURN(const JsonFields part,
                           JsonFields::Of((*content)[i], ElementPath(message.Path("content"), i)));
    FACET_RETURN_IF_ERROR(ReadPart(part, out));
  }
  return absl::OkStatus();
}

absl::Status ReadToolCall(const JsonFields& call, v1::ToolCall* out) {
  FACET_ASSIGN_OR_RETURN(const std::optional<std::string> type, call.Text("type"));
  if (type.has_value() && *type != "function") {
    return FieldError(call.Path("type"), absl::StrCat("'", *type, "' is not function"));
  }
  FACET_ASSIGN_OR_RETURN(std::string id, call.RequiredText("id"));
  out->set_id(std::move(id));
  const Json* value = call.Find("function");
  if (value == nullptr) return FieldError(call.Path("function"), "is missing: an object");
  FACET_ASSIGN_OR_RETURN(const JsonFields function, JsonFields::Of(*value, call.Path("function")));
  FACET_ASSIGN_OR_RETURN(std::string name, function.RequiredText("name"));
  FACET_ASSIGN_OR_RETURN(std::optional<std::string> arguments, function.Text("arguments"));
  out->set_name(std::move(name));
  out->set_arguments(std::move(arguments).value_or(""));
  return absl::OkStatus();
}

absl::Status ReadToolCalls(const JsonFields& message, v1::ChatMessage* out) {
  FACET_ASSIGN_OR_RETURN(const Json* calls, message.Array("tool_calls"));
  if (calls == nullptr || calls->empty()) return absl::OkStatus();
  if (out->role() != v1::ChatMessage::ASSISTANT) {
    return FieldError(message.Path("tool_calls"), "is allowed in assistant messages only");
  }
  for (size_t i = 0; i < calls->size(); ++i) {
    FACET_ASSIGN_OR_RETURN(const JsonFields call,
                           JsonFields::Of((*calls)[i], ElementPath(message.Path("tool_calls"), i)));
    FACET_RETURN_IF_ERROR(ReadToolCall(call, out->add_tool_calls()));
  }
  return absl::OkStatus();
}

absl::Status ReadMessage(const JsonFields& message, v1::ChatMessage* out) {
  FACET_ASSIGN_OR_RETURN(const v1::ChatMessage::Role role, ReadRole(message));
  out->set_role(role);
  FACET_RETURN_IF_ERROR(message.Refuse("function_call", "is not supported: use tool_calls"));
  FACET_RETURN_IF_ERROR(message.Refuse("audio", "is not supported: answers are text"));
  FACET_RETURN_IF_ERROR(ReadContent(message, out));
  FACET_RETURN_IF_ERROR(ReadToolCalls(message, out));
  FACET_ASSIGN_OR_RETURN(std::optional<std::string> reasoning, message.Text("reasoning_content"));
  if (role == v1::ChatMessage::ASSISTANT) out->set_reasoning(std::move(reasoning).value_or(""));
  if (role != v1::ChatMessage::TOOL) return absl::OkStatus();
  FACET_ASSIGN_OR_RETURN(std::optional<std::string> id, message.Text("tool_call_id"));
  FACET_ASSIGN_OR_RETURN(std::optional<std::string> name, message.Text("name"));
  if (!id.has_value() && !name.has_value()) {
    return FieldError(message.Path("tool_call_id"), "is missing: the id of the call it answers");
  }
  out->set_tool_call_id(std::move(id).value_or(""));
  out->set_name(std::move(name).value_or(""));
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadMessages(const JsonFields& request, v1::ChatRequest* out) {
  const std::string path = request.Path("messages");
  FACET_ASSIGN_OR_RETURN(const Json* messages, request.Array("messages"));
  if (messages == nullptr) return FieldError(path, "is missing: an array of messages");
  if (messages->empty()) return FieldError(path, "is empty: at least one message");
  for (size_t i = 0; i < messages->size(); ++i) {
    FACET_ASSIGN_OR_RETURN(const JsonFields message,
                           JsonFields::Of((*messages)[i], ElementPath(path, i)));
    FACET_RETURN_IF_ERROR(ReadMessage(message, out->add_messages()));
  }
  return absl::OkStatus();
}

}  // namespace facet
