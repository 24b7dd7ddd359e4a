#include "model/chat/chat_template.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/status_macros.h"
#include "model/chat/check.h"
#include "model/chat/declarations.h"
#include "model/chat/prompt_text.h"
#include "model/chat/text_rules.h"
#include "model/chat/values.h"

namespace facet {
namespace {

constexpr absl::string_view kOpenThought = "<|channel>thought\n";

bool IsSystem(const Message& message) {
  return message.role == Role::kSystem || message.role == Role::kDeveloper;
}

absl::string_view Placeholder(ContentPart::Kind kind) {
  switch (kind) {
    case ContentPart::Kind::kImage:
      return "<|image|>";
    case ContentPart::Kind::kAudio:
      return "<|audio|>";
    case ContentPart::Kind::kVideo:
      return "<|video|>";
    case ContentPart::Kind::kText:
    case ContentPart::Kind::kJson:
      break;
  }
  return "";
}

// What a part's text becomes in a message of this role.
std::string CleanText(const ContentPart& part, Role role) {
  return role == Role::kAssistant ? StripThoughts(part.text) : std::string(Trim(part.text));
}

bool HasContent(const Message& message) {
  for (const ContentPart& part : message.content) {
    if (part.kind != ContentPart::Kind::kText || !CleanText(part, message.role).empty())
      return true;
  }
  return false;
}

class Renderer {
 public:
  Renderer(const Conversation& conversation, const ChatTemplateOptions& options)
      : conversation_(conversation), options_(options), messages_(conversation.messages) {}

  absl::StatusOr<RenderedPrompt> Run() && {
    out_.Markup("<bos>");
    FACET_RETURN_IF_ERROR(SystemTurn());
    for (size_t i = 0; i < messages_.size(); ++i) {
      if (messages_[i].role == Role::kUser) last_user_ = static_cast<int>(i);
    }
    const Message* previous = nullptr;
    for (size_t i = 0; i < messages_.size();) {
      size_t next = i + 1;
      while (next < messages_.size() && messages_[next].role == Role::kTool) ++next;
      WriteMessage(i, next, previous);
      previous = &messages_[i];
      i = next;
    }
    if (conversation_.add_generation_prompt) GenerationPrompt();
    RenderedPrompt prompt;
    prompt.text = out_.text();
    prompt.caller_ranges = out_.caller_ranges();
    prompt.ends_in_thought = ends_in_thought_;
    return prompt;
  }

 private:
  // What the last message ended with.
  enum class End { kContent, kCalls, kResponses };

  // The turn that says how to behave; takes a leading system message off the list.
  absl::Status SystemTurn() {
    const bool has_message = IsSystem(messages_[0]);
    if (!conversation_.enable_thinking && conversation_.tools.empty() && !has_message) {
      return absl::OkStatus();
    }
    out_.Markup("<|turn>system\n");
    if (conversation_.enable_thinking) out_.Markup("<|think|>\n");
    if (has_message) {
      for (const ContentPart& part : messages_[0].content) {
        out_.Caller(Trim(part.text));
        if (!messages_[0].content_is_string) out_.Markup(" ");
      }
      messages_.remove_prefix(1);
    }
    for (size_t i = 0; i < conversation_.tools.size(); ++i) {
      out_.Markup("<|tool>");
      FACET_RETURN_IF_ERROR(
          WriteDeclaration(conversation_.tools[i], absl::StrCat("tools[", i, "]"), out_));
      out_.Markup("<tool|>");
    }
    out_.Markup("<turn|>\n");
    return absl::OkStatus();
  }

  // Message i with the tool results that follow it; `next` is the first message behind them.
  void WriteMessage(size_t i, size_t next, const Message* previous) {
    const Message& message = messages_[i];
    const bool is_model = message.role == Role::kAssistant;
    if (!is_model || previous == nullptr || previous->role != Role::kAssistant) {
      out_.Markup(absl::StrCat("<|turn>", is_model ? "model" : Name(message.role), "\n"));
    }
    Thought(message, static_cast<int>(i));
    const bool content_first = options_.content_before_calls && !message.tool_calls.empty();
    if (content_first) Content(message);
    for (const ToolCall& call : message.tool_calls) Call(call);
    const bool responses = Responses(message, messages_.subspan(i + 1, next - i - 1));
    if (!content_first) Content(message);
    end_ = responses ? End::kResponses : message.tool_calls.empty() ? End::kContent : End::kCalls;
    EndMessage(message, next, content_first);
  }

  // Thoughts since the last user message stay, so that a plan outlives the calls it makes.
  void Thought(const Message& message, int index) {
    const bool kept =
        index > last_user_ || (conversation_.preserve_thinking && !message.tool_calls.empty());
    if (message.reasoning.empty() || !kept) return;
    out_.Markup(kOpenThought);
    out_.Caller(message.reasoning);
    out_.Markup("\n<channel|>");
  }

  void Call(const ToolCall& call) {
    out_.Markup("<|tool_call>call:");
    out_.Caller(call.name);
    out_.Markup("{");
    if (call.arguments.is_object()) WriteMembers(call.arguments, KeyStyle::kBare, out_);
    out_.Markup("}<tool_call|>");
  }

  // Whether there were any.
  bool Responses(const Message& message, absl::Span<const Message> results) {
    for (const ToolResponse& response : message.tool_responses) {
      Response(response.name, response.response);
    }
    for (const Message& result : results) {
      Response(FunctionName(message, result), ResultValue(result));
      for (const ContentPart& part : result.content) out_.Markup(Placeholder(part.kind));
    }
    return !message.tool_responses.empty() || !results.empty();
  }

  // The last of the calls with the result's id (none is an id, too), else what the result says.
  static absl::string_view FunctionName(const Message& calling, const Message& result) {
    absl::string_view name = result.name;
    for (const ToolCall& call : calling.tool_calls) {
      if (call.id == result.tool_call_id) name = call.name;
    }
    return name;
  }

  static OrderedJson ResultValue(const Message& result) {
    std::string text;
    for (const ContentPart& part : result.content) {
      if (part.kind == ContentPart::Kind::kJson) return part.json;
      text += part.text;
    }
    return text;
  }

  void Response(absl::string_view name, const OrderedJson& value) {
    out_.Markup("<|tool_response>response:");
    out_.Caller(name.empty() ? "unknown" : name);
    out_.Markup("{");
    if (value.is_object()) {
      WriteMembers(value, KeyStyle::kBare, out_);
    } else {
      out_.Markup("value:");
      WriteValue(value, KeyStyle::kBare, out_);
    }
    out_.Markup("}<tool_response|>");
  }

  void Content(const Message& message) {
    for (const ContentPart& part : message.content) {
      if (part.kind == ContentPart::Kind::kText) {
        out_.Caller(CleanText(part, message.role));
      } else {
        out_.Markup(Placeholder(part.kind));
      }
    }
  }

  // Closes the turn, unless the next message goes on with it, or the model is to.
  void EndMessage(const Message& message, size_t next, bool content_first) {
    const bool last = next == messages_.size();
    if (end_ == End::kCalls) {
      out_.Markup("<|tool_response>");
      return;
    }
    if (message.role == Role::kAssistant && !last && messages_[next].role == Role::kAssistant) {
      return;
    }
    const bool ends_in_responses =
        end_ == End::kResponses && (content_first || !HasContent(message));
    if (!(ends_in_responses && last)) out_.Markup("<turn|>\n");
  }

  void GenerationPrompt() {
    const bool thinking = conversation_.enable_thinking;
    if (end_ == End::kContent) {
      out_.Markup("<|turn>model\n");
      if (options_.variant == ChatVariant::kLarge && !thinking) {
        out_.Markup(kOpenThought);
        out_.Markup("<channel|>");
      }
    } else if (end_ == End::kResponses && thinking) {
      out_.Markup(kOpenThought);
      ends_in_thought_ = true;
    }
  }

  const Conversation& conversation_;
  const ChatTemplateOptions& options_;
  absl::Span<const Message> messages_;  // without a leading system message, once that is written
  PromptText out_;
  int last_user_ = -1;
  End end_ = End::kContent;
  bool ends_in_thought_ = false;
};

}  // namespace

const char* Name(ChatVariant variant) { return variant == ChatVariant::kSmall ? "small" : "large"; }

absl::StatusOr<RenderedPrompt> RenderChat(const Conversation& conversation,
                                          const ChatTemplateOptions& options) {
  FACET_RETURN_IF_ERROR(CheckConversation(conversation));
  return Renderer(conversation, options).Run();
}

}  // namespace facet
