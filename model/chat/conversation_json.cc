#include "model/chat/conversation_json.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/chat/ordered_json.h"

namespace facet {
namespace {

using Kind = ContentPart::Kind;

struct PartType {
  absl::string_view name;
  Kind kind;
};
constexpr PartType kPartTypes[] = {{"text", Kind::kText},         {"image", Kind::kImage},
                                   {"image_url", Kind::kImage},   {"audio", Kind::kAudio},
                                   {"input_audio", Kind::kAudio}, {"video", Kind::kVideo}};

constexpr Role kRoles[] = {Role::kSystem, Role::kDeveloper, Role::kUser, Role::kAssistant,
                           Role::kTool};

// Reads a request whole; the first thing that is wrong is kept in `status`.
class Reader {
 public:
  Conversation Request(const OrderedJson& request) {
    Conversation conversation;
    if (!request.is_object()) {
      Fail("request", request, "an object");
      return conversation;
    }
    const OrderedJson* messages = FindMember(request, "messages");
    if (messages == nullptr) Fail("messages: missing");
    ForEach(messages, "messages", [&](const OrderedJson& json, const std::string& path) {
      conversation.messages.push_back(ReadMessage(json, path));
    });
    ForEach(FindMember(request, "tools"), "tools",
            [&](const OrderedJson& json, const std::string& path) {
              conversation.tools.push_back(ReadTool(json, path));
            });
    conversation.enable_thinking = Bool(request, "enable_thinking", false);
    conversation.preserve_thinking = Bool(request, "preserve_thinking", false);
    conversation.add_generation_prompt = Bool(request, "add_generation_prompt", true);
    return conversation;
  }

  absl::Status status;

 private:
  void Fail(std::string problem) {
    if (status.ok()) status = absl::InvalidArgumentError(std::move(problem));
  }
  void Fail(absl::string_view path, const OrderedJson& value, absl::string_view expected) {
    Fail(absl::StrCat(path, ": ", Excerpt(value), " where ", expected, " is expected"));
  }

  template <typename ReadFn>
  void ForEach(const OrderedJson* list, absl::string_view path, ReadFn read) {
    if (list == nullptr) return;
    if (!list->is_array()) return Fail(path, *list, "a list");
    for (size_t i = 0; i < list->size() && status.ok(); ++i) {
      read((*list)[i], absl::StrCat(path, "[", i, "]"));
    }
  }

  // False, with an error, unless `value` is an object whose members besides `known` are empty.
  bool Object(const OrderedJson& value, const std::string& path,
              std::initializer_list<absl::string_view> known) {
    if (!value.is_object()) {
      Fail(path, value, "an object");
      return false;
    }
    for (const auto& [key, member] : value.get_ref<const OrderedJson::object_t&>()) {
      const bool empty = member.is_null() || (member.is_structured() && member.empty()) ||
                         (member.is_string() && member.get_ref<const std::string&>().empty());
      if (empty || std::find(known.begin(), known.end(), key) != known.end()) continue;
      Fail(absl::StrCat(path, ".", Quoted(key), ": is not supported here"));
    }
    return true;
  }

  bool Bool(const OrderedJson& object, absl::string_view key, bool if_absent) {
    const OrderedJson* value = FindMember(object, key);
    if (value == nullptr) return if_absent;
    if (value->is_boolean()) return value->get<bool>();
    Fail(key, *value, "true or false");
    return if_absent;
  }

  // "" if absent or null.
  std::string String(const OrderedJson& object, absl::string_view key, const std::string& path) {
    const OrderedJson* value = FindMember(object, key);
    if (value == nullptr) return "";
    if (value->is_string()) return value->get<std::string>();
    Fail(absl::StrCat(path, ".", key), *value, "a string");
    return "";
  }
  std::string RequiredString(const OrderedJson& object, absl::string_view key,
                             const std::string& path) {
    if (FindMember(object, key) == nullptr) Fail(absl::StrCat(path, ".", key, ": missing"));
    return String(object, key, path);
  }

  Message ReadMessage(const OrderedJson& json, const std::string& path) {
    Message message;
    if (!Object(json, path,
                {"role", "content", "name", "reasoning", "reasoning_content", "tool_calls",
                 "tool_responses", "tool_call_id"})) {
      return message;
    }
    message.role = ReadRole(RequiredString(json, "role", path), path);
    ReadContent(json, path, message);
    message.reasoning = String(json, "reasoning", path);
    const std::string reasoning_content = String(json, "reasoning_content", path);
    if (message.reasoning.empty()) message.reasoning = reasoning_content;
    ForEach(FindMember(json, "tool_calls"), path + ".tool_calls",
            [&](const OrderedJson& call, const std::string& call_path) {
              message.tool_calls.push_back(ReadCall(call, call_path));
            });
    ForEach(FindMember(json, "tool_responses"), path + ".tool_responses",
            [&](const OrderedJson& response, const std::string& response_path) {
              message.tool_responses.push_back(ReadResponse(response, response_path));
            });
    message.tool_call_id = String(json, "tool_call_id", path);
    const std::string name = String(json, "name", path);
    if (message.role == Role::kTool) message.name = name;
    return message;
  }

  Role ReadRole(const std::string& name, const std::string& path) {
    for (const Role role : kRoles) {
      if (name == Name(role)) return role;
    }
    Fail(absl::StrCat(path, ".role: ", Quoted(name),
                      " where system, developer, user, assistant or tool is expected"));
    return Role::kUser;
  }

  void ReadContent(const OrderedJson& json, const std::string& path, Message& message) {
    const auto it = json.find("content");
    const bool is_tool = message.role == Role::kTool;
    if (it == json.end() || (it->is_null() && !is_tool)) return;
    if (it->is_string()) {
      message.content.push_back({Kind::kText, it->get<std::string>(), nullptr});
    } else if (it->is_array()) {
      message.content_is_string = false;
      ForEach(&*it, path + ".content", [&](const OrderedJson& part, const std::string& part_path) {
        message.content.push_back(ReadPart(part, part_path));
      });
    } else if (is_tool && (it->is_object() || it->is_null())) {
      message.content.push_back({Kind::kJson, "", *it});
    } else {
      Fail(path + ".content", *it, "a string or a list of parts");
    }
  }

  ContentPart ReadPart(const OrderedJson& json, const std::string& path) {
    ContentPart part;
    if (!json.is_object()) {
      Fail(path, json, "an object");
      return part;
    }
    const std::string type = RequiredString(json, "type", path);
    const PartType* found = std::find_if(std::begin(kPartTypes), std::end(kPartTypes),
                                         [&](const PartType& t) { return t.name == type; });
    if (found == std::end(kPartTypes)) {
      Fail(absl::StrCat(path, ".type: ", Quoted(type),
                        " where text, image, image_url, audio, input_audio or video is expected"));
      return part;
    }
    part.kind = found->kind;
    if (part.kind == Kind::kText) {
      Object(json, path, {"type", "text"});
      part.text = RequiredString(json, "text", path);
    }
    return part;
  }

  ToolCall ReadCall(const OrderedJson& json, const std::string& path) {
    ToolCall call;
    if (!Object(json, path, {"id", "type", "index", "function"})) return call;
    ReadFunctionType(json, path);
    call.id = String(json, "id", path);
    const OrderedJson* function = FindMember(json, "function");
    const std::string function_path = path + ".function";
    if (function == nullptr) {
      Fail(function_path + ": missing");
    } else if (Object(*function, function_path, {"name", "arguments"})) {
      call.name = RequiredString(*function, "name", function_path);
      call.arguments = ReadArguments(*function, function_path + ".arguments");
    }
    return call;
  }

  OrderedJson ReadArguments(const OrderedJson& function, const std::string& path) {
    const OrderedJson* arguments = FindMember(function, "arguments");
    if (arguments == nullptr) return nullptr;
    if (!arguments->is_string()) return *arguments;
    const std::string& text = arguments->get_ref<const std::string&>();
    if (text.empty()) return nullptr;
    absl::StatusOr<OrderedJson> parsed = ParseOrderedJson(text);
    if (parsed.ok()) return *std::move(parsed);
    Fail(absl::StrCat(path, ": ", parsed.status().message()));
    return nullptr;
  }

  ToolResponse ReadResponse(const OrderedJson& json, const std::string& path) {
    ToolResponse response;
    if (!Object(json, path, {"name", "response"})) return response;
    response.name = String(json, "name", path);
    if (const OrderedJson* value = FindMember(json, "response")) response.response = *value;
    return response;
  }

  Tool ReadTool(const OrderedJson& json, const std::string& path) {
    Tool tool;
    if (!Object(json, path, {"type", "function"})) return tool;
    ReadFunctionType(json, path);
    const OrderedJson* function = FindMember(json, "function");
    const std::string function_path = path + ".function";
    if (function == nullptr) {
      Fail(function_path + ": missing");
    } else if (Object(*function, function_path,
                      {"name", "description", "parameters", "response", "strict"})) {
      tool.name = RequiredString(*function, "name", function_path);
      tool.description = String(*function, "description", function_path);
      if (const OrderedJson* schema = FindMember(*function, "parameters")) {
        tool.parameters = *schema;
      }
      if (const OrderedJson* schema = FindMember(*function, "response")) tool.response = *schema;
    }
    return tool;
  }

  void ReadFunctionType(const OrderedJson& json, const std::string& path) {
    const std::string type = String(json, "type", path);
    if (type.empty() || type == "function") return;
    Fail(absl::StrCat(path, ".type: ", Quoted(type), " where function is expected"));
  }
};

}  // namespace

absl::StatusOr<Conversation> ConversationFromJson(const OrderedJson& request) {
  Reader reader;
  Conversation conversation = reader.Request(request);
  FACET_RETURN_IF_ERROR(reader.status);
  return conversation;
}

absl::StatusOr<Conversation> ParseConversation(absl::string_view text, const JsonLimits& limits) {
  FACET_ASSIGN_OR_RETURN(const OrderedJson request, ParseOrderedJson(text, limits));
  return ConversationFromJson(request);
}

}  // namespace facet
