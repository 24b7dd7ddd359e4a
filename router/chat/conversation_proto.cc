#include "router/chat/conversation_proto.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/chat/ordered_json.h"

namespace facet {
namespace {

absl::Status Wrong(const std::string& path, const std::string& problem) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", problem));
}

// A JSON object; null for the empty text.
absl::StatusOr<OrderedJson> ParseObject(const std::string& path, const std::string& text) {
  if (text.empty()) return OrderedJson();
  absl::StatusOr<OrderedJson> json = ParseOrderedJson(text);
  if (!json.ok()) return Wrong(path, std::string(json.status().message()));
  if (json->is_object()) return json;
  return Wrong(path, Excerpt(*json) + " where the JSON text of an object is expected");
}

absl::StatusOr<Role> RoleOf(const std::string& path, const v1::ChatMessage& message, int index) {
  switch (message.role()) {
    case v1::ChatMessage::SYSTEM:
    case v1::ChatMessage::DEVELOPER:
      if (index > 0) {
        return Wrong(path + ".role",
                     v1::ChatMessage::Role_Name(message.role()) + " is for the first message only");
      }
      return message.role() == v1::ChatMessage::SYSTEM ? Role::kSystem : Role::kDeveloper;
    case v1::ChatMessage::USER:
      return Role::kUser;
    case v1::ChatMessage::ASSISTANT:
      return Role::kAssistant;
    case v1::ChatMessage::TOOL:
      return Role::kTool;
    default:
      return Wrong(path + ".role",
                   absl::StrCat(message.role(), "; allowed: 1 (SYSTEM), 2 (DEVELOPER), 3 (USER), ",
                                "4 (ASSISTANT), 5 (TOOL)"));
  }
}

absl::StatusOr<ContentPart::Kind> KindOf(const std::string& path, const v1::Media& media) {
  switch (media.kind()) {
    case v1::Media::IMAGE:
      return ContentPart::Kind::kImage;
    case v1::Media::AUDIO:
      return ContentPart::Kind::kAudio;
    case v1::Media::VIDEO:
      return ContentPart::Kind::kVideo;
    default:
      return Wrong(path + ".kind", absl::StrCat(static_cast<int>(media.kind()),
                                                "; allowed: 1 (IMAGE), 2 (AUDIO), 3 (VIDEO)"));
  }
}

absl::StatusOr<ContentPart> ToPart(const std::string& path, Role role,
                                   const v1::ContentPart& part) {
  ContentPart out;
  switch (part.part_case()) {
    case v1::ContentPart::kText:
      out.text = part.text();
      return out;
    case v1::ContentPart::kJson: {
      out.kind = ContentPart::Kind::kJson;
      FACET_ASSIGN_OR_RETURN(out.json, ParseObject(path + ".json", part.json()));
      if (out.json.is_null()) return Wrong(path + ".json", "empty; the JSON text of an object");
      return out;
    }
    case v1::ContentPart::kMedia: {
      if (role != Role::kUser && role != Role::kTool) {
        return Wrong(path + ".media", absl::StrCat("is for USER and TOOL, not ", Name(role)));
      }
      FACET_ASSIGN_OR_RETURN(out.kind, KindOf(path + ".media", part.media()));
      return out;
    }
    case v1::ContentPart::PART_NOT_SET:
      break;
  }
  return Wrong(path, "empty; set text, json or media");
}

absl::StatusOr<Message> ToMessage(const v1::ChatMessage& message, int index) {
  const std::string path = absl::StrCat("messages[", index, "]");
  Message out;
  FACET_ASSIGN_OR_RETURN(out.role, RoleOf(path, message, index));
  out.content_is_string = message.content_size() <= 1;
  for (int i = 0; i < message.content_size(); ++i) {
    FACET_ASSIGN_OR_RETURN(ContentPart part, ToPart(absl::StrCat(path, ".content[", i, "]"),
                                                    out.role, message.content(i)));
    out.content.push_back(std::move(part));
  }
  for (int i = 0; i < message.tool_calls_size(); ++i) {
    const v1::ToolCall& call = message.tool_calls(i);
    const std::string call_path = absl::StrCat(path, ".tool_calls[", i, "].arguments");
    ToolCall& added = out.tool_calls.emplace_back();
    added.id = call.id();
    added.name = call.name();
    // Clients send back what they got: "null" was no arguments.
    if (call.arguments() == "null") continue;
    FACET_ASSIGN_OR_RETURN(added.arguments, ParseObject(call_path, call.arguments()));
  }
  out.reasoning = message.reasoning();
  out.tool_call_id = message.tool_call_id();
  out.name = message.name();
  return out;
}

absl::StatusOr<Tool> ToTool(const v1::Tool& tool, int index) {
  const std::string path = absl::StrCat("tools[", index, "]");
  Tool out;
  out.name = tool.name();
  out.description = tool.description();
  FACET_ASSIGN_OR_RETURN(out.parameters, ParseObject(path + ".parameters", tool.parameters()));
  if (!tool.response().empty()) {
    FACET_ASSIGN_OR_RETURN(out.response, ParseObject(path + ".response", tool.response()));
  }
  return out;
}

}  // namespace

absl::StatusOr<Conversation> ConversationFromProto(const v1::ChatRequest& request) {
  Conversation out;
  out.enable_thinking = request.enable_thinking();
  out.preserve_thinking = request.preserve_thinking();
  out.messages.reserve(static_cast<size_t>(request.messages_size()));
  for (int i = 0; i < request.messages_size(); ++i) {
    FACET_ASSIGN_OR_RETURN(Message message, ToMessage(request.messages(i), i));
    out.messages.push_back(std::move(message));
  }
  for (int i = 0; i < request.tools_size(); ++i) {
    FACET_ASSIGN_OR_RETURN(Tool tool, ToTool(request.tools(i), i));
    out.tools.push_back(std::move(tool));
  }
  return out;
}

}  // namespace facet
