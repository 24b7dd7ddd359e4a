#include "model/chat/check.h"

#include <algorithm>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/chat/ordered_json.h"
#include "model/tokenizer/utf8.h"

namespace facet {
namespace {

constexpr size_t kMaxNameLength = 64;

absl::Status Wrong(absl::string_view path, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", problem));
}

absl::Status CheckText(absl::string_view path, absl::string_view text) {
  const auto offset = FindInvalidUtf8(text);
  if (!offset) return absl::OkStatus();
  return Wrong(path, absl::StrCat("not valid UTF-8 at byte offset ", *offset));
}

absl::Status CheckName(absl::string_view path, absl::string_view name) {
  const bool sound = !name.empty() && name.size() <= kMaxNameLength &&
                     std::all_of(name.begin(), name.end(), [](char c) {
                       return absl::ascii_isalnum(c) || c == '_' || c == '.' || c == '-';
                     });
  if (sound) return absl::OkStatus();
  return Wrong(path, absl::StrCat(Quoted(name), " where a name of 1 to ", kMaxNameLength,
                                  " letters, digits, '_', '.' or '-' is expected"));
}

bool IsDeeperThan(const OrderedJson& value, int depth) {
  if (!value.is_structured()) return false;
  if (depth == 0) return true;
  return std::any_of(value.begin(), value.end(),
                     [depth](const OrderedJson& v) { return IsDeeperThan(v, depth - 1); });
}

absl::Status CheckDepth(absl::string_view path, const OrderedJson& value) {
  if (!IsDeeperThan(value, kMaxJsonDepth)) return absl::OkStatus();
  return Wrong(path, absl::StrCat("nested deeper than ", kMaxJsonDepth, " levels"));
}

absl::Status CheckContent(absl::string_view path, const Message& message) {
  int texts = 0, results = 0;
  for (size_t i = 0; i < message.content.size(); ++i) {
    const ContentPart& part = message.content[i];
    const std::string part_path = absl::StrCat(path, ".content[", i, "]");
    FACET_RETURN_IF_ERROR(CheckText(part_path, part.text));
    texts += part.kind == ContentPart::Kind::kText;
    if (part.kind != ContentPart::Kind::kJson) continue;
    ++results;
    if (message.role != Role::kTool) return Wrong(part_path, "JSON is for role tool only");
    FACET_RETURN_IF_ERROR(CheckDepth(part_path, part.json));
  }
  if (results > 1 || (results == 1 && texts > 0)) {
    return Wrong(absl::StrCat(path, ".content"),
                 "a JSON result must be the only one, without text");
  }
  return absl::OkStatus();
}

absl::Status CheckFieldsOfRole(absl::string_view path, const Message& message) {
  const auto only = [&](bool present, absl::string_view field, Role role) {
    if (!present || message.role == role) return absl::OkStatus();
    return Wrong(absl::StrCat(path, ".", field),
                 absl::StrCat("is for role ", Name(role), " only, not ", Name(message.role)));
  };
  FACET_RETURN_IF_ERROR(only(!message.reasoning.empty(), "reasoning", Role::kAssistant));
  FACET_RETURN_IF_ERROR(only(!message.tool_calls.empty(), "tool_calls", Role::kAssistant));
  FACET_RETURN_IF_ERROR(only(!message.tool_responses.empty(), "tool_responses", Role::kAssistant));
  FACET_RETURN_IF_ERROR(only(!message.tool_call_id.empty(), "tool_call_id", Role::kTool));
  return only(!message.name.empty(), "name", Role::kTool);
}

absl::Status CheckMessage(const std::string& path, const Message& message) {
  FACET_RETURN_IF_ERROR(CheckFieldsOfRole(path, message));
  FACET_RETURN_IF_ERROR(CheckContent(path, message));
  FACET_RETURN_IF_ERROR(CheckText(path + ".reasoning", message.reasoning));
  for (size_t i = 0; i < message.tool_calls.size(); ++i) {
    const ToolCall& call = message.tool_calls[i];
    const std::string call_path = absl::StrCat(path, ".tool_calls[", i, "]");
    FACET_RETURN_IF_ERROR(CheckName(call_path + ".name", call.name));
    if (!call.arguments.is_object() && !call.arguments.is_null()) {
      return Wrong(call_path + ".arguments",
                   Excerpt(call.arguments) + " where an object is expected");
    }
    FACET_RETURN_IF_ERROR(CheckDepth(call_path + ".arguments", call.arguments));
  }
  for (size_t i = 0; i < message.tool_responses.size(); ++i) {
    const ToolResponse& response = message.tool_responses[i];
    const std::string response_path = absl::StrCat(path, ".tool_responses[", i, "]");
    if (!response.name.empty()) {
      FACET_RETURN_IF_ERROR(CheckName(response_path + ".name", response.name));
    }
    FACET_RETURN_IF_ERROR(CheckDepth(response_path + ".response", response.response));
  }
  return message.name.empty() ? absl::OkStatus() : CheckName(path + ".name", message.name);
}

// A result and the message whose calls it follows (nullptr: none).
absl::Status CheckResult(const std::string& path, const Message& result, const Message* calling) {
  if (calling == nullptr || calling->tool_calls.empty()) {
    return Wrong(path, "a tool result that follows no assistant message with tool_calls");
  }
  if (!calling->tool_responses.empty()) {
    return Wrong(path, "a tool result behind a message that has tool_responses already");
  }
  const auto& calls = calling->tool_calls;
  if (result.tool_call_id.empty() ||
      std::any_of(calls.begin(), calls.end(),
                  [&](const ToolCall& call) { return call.id == result.tool_call_id; })) {
    return absl::OkStatus();
  }
  return Wrong(path + ".tool_call_id",
               Quoted(result.tool_call_id) + " is the id of none of the calls before it");
}

absl::Status CheckTools(const Conversation& conversation) {
  absl::flat_hash_set<absl::string_view> names;
  for (size_t i = 0; i < conversation.tools.size(); ++i) {
    const Tool& tool = conversation.tools[i];
    const std::string path = absl::StrCat("tools[", i, "]");
    FACET_RETURN_IF_ERROR(CheckName(path + ".name", tool.name));
    if (!names.insert(tool.name).second) {
      return Wrong(path + ".name", Quoted(tool.name) + " is declared twice");
    }
    FACET_RETURN_IF_ERROR(CheckText(path + ".description", tool.description));
    FACET_RETURN_IF_ERROR(CheckDepth(path + ".parameters", tool.parameters));
    if (tool.response) FACET_RETURN_IF_ERROR(CheckDepth(path + ".response", *tool.response));
  }
  return absl::OkStatus();
}

// The template would put nothing where the medium is.
absl::Status CheckSystem(const Message& first) {
  if (first.role != Role::kSystem && first.role != Role::kDeveloper) return absl::OkStatus();
  for (size_t i = 0; i < first.content.size(); ++i) {
    if (first.content[i].kind == ContentPart::Kind::kText) continue;
    return Wrong(
        absl::StrCat("messages[0].content[", i, "]"),
        absl::StrCat("only text is possible in the leading ", Name(first.role), " message"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckConversation(const Conversation& conversation) {
  const auto& messages = conversation.messages;
  if (messages.empty()) return Wrong("messages", "empty, at least one message is needed");
  FACET_RETURN_IF_ERROR(CheckSystem(messages[0]));
  const Message* last = nullptr;  // that is no tool result
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string path = absl::StrCat("messages[", i, "]");
    FACET_RETURN_IF_ERROR(CheckMessage(path, messages[i]));
    if (messages[i].role == Role::kTool) {
      FACET_RETURN_IF_ERROR(CheckResult(path, messages[i], last));
    } else {
      last = &messages[i];
    }
  }
  const Message& end = messages.back();
  if (conversation.add_generation_prompt && !end.tool_calls.empty() && end.tool_responses.empty()) {
    return Wrong(absl::StrCat("messages[", messages.size() - 1, "].tool_calls"),
                 "the conversation ends in calls without a result: add messages of role tool");
  }
  return CheckTools(conversation);
}

}  // namespace facet
