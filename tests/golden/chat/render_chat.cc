// Renders conversations for chat_template_test.py: one JSON object a line on standard input,
//   {"variant": "small" | "large", "content_before_calls": bool, "request": {...}}
// and one a line on standard output: {"text": .., "caller_ranges": [[begin, end], ..]}, or
// {"error": ..}.
#include <iostream>
#include <string>

#include "absl/status/statusor.h"
#include "base/status_macros.h"
#include "model/chat/chat_template.h"
#include "model/chat/conversation_json.h"
#include "model/chat/ordered_json.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

absl::StatusOr<RenderedPrompt> RenderLine(const std::string& line) {
  FACET_ASSIGN_OR_RETURN(const OrderedJson job, ParseOrderedJson(line, {.max_depth = 80}));
  FACET_ASSIGN_OR_RETURN(const Conversation conversation, ConversationFromJson(job["request"]));
  ChatTemplateOptions options;
  options.variant = job["variant"] == "small" ? ChatVariant::kSmall : ChatVariant::kLarge;
  options.content_before_calls = job["content_before_calls"].get<bool>();
  return RenderChat(conversation, options);
}

void Run() {
  for (std::string line; std::getline(std::cin, line);) {
    const absl::StatusOr<RenderedPrompt> prompt = RenderLine(line);
    nlohmann::json answer;
    if (prompt.ok()) {
      answer = {{"text", prompt->text}, {"caller_ranges", prompt->caller_ranges}};
    } else {
      answer = {{"error", prompt.status().message()}};
    }
    std::cout << answer.dump() << "\n";
  }
}

}  // namespace
}  // namespace facet

int main() {
  facet::Run();
  return 0;
}
