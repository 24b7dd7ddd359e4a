#ifndef FACET_MODEL_CHAT_CHAT_TEMPLATE_H_
#define FACET_MODEL_CHAT_CHAT_TEMPLATE_H_

// A conversation as the prompt that Gemma 4 was trained on: the published chat template of
// 2026-07-09, written in C++. tests/golden/chat holds it to the published files byte for byte.

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "model/chat/conversation.h"

namespace facet {

// Google publishes two templates. They differ in one thing: with thinking off, kLarge puts an empty
// thought behind the beginning of the model's turn, so that the model does not start one.
enum class ChatVariant {
  kSmall,  // E2B, E4B
  kLarge,  // 31B, 26B-A4B, 12B
};

// "small" or "large".
const char* Name(ChatVariant variant);

struct ChatTemplateOptions {
  ChatVariant variant = ChatVariant::kSmall;
  // True: the content of a message with tool calls stands before the calls, where the model wrote
  // it, and a message with results at the end of the list leaves the model's turn open. False: as
  // the published template has it, content behind the results; such a message at the end of the
  // list then closes the turn and opens none to answer in.
  bool content_before_calls = true;
};

struct RenderedPrompt {
  std::string text;  // with <bos>: encode it without adding one
  // Which bytes of `text` came from the caller, [begin, end): ascending, disjoint, none empty. For
  // Tokenizer::EncodeWithPlainRanges, which makes no special token of them.
  std::vector<std::pair<size_t, size_t>> caller_ranges;
  // The answer begins inside a thought that the prompt has opened.
  bool ends_in_thought = false;
};

// The prompt of a conversation; each medium is its placeholder (<|image|>, <|audio|>, <|video|>),
// in the order of the prompt. InvalidArgument names the message and the field (check.h), or the
// place in a tool's schema (declarations.h). Thread-safe; time O(n log n) in the size of the input.
absl::StatusOr<RenderedPrompt> RenderChat(const Conversation& conversation,
                                          const ChatTemplateOptions& options);

}  // namespace facet

#endif  // FACET_MODEL_CHAT_CHAT_TEMPLATE_H_
