#ifndef FACET_ROUTER_CHAT_CHAT_SPEC_H_
#define FACET_ROUTER_CHAT_CHAT_SPEC_H_

#include <optional>

#include "model/chat/conversation.h"
#include "proto/facet/internal/shard_engine.pb.h"
#include "router/generation_spec.h"

namespace facet {

// What a valid ChatRequest asks for, with every default resolved.
struct ChatSpec {
  Conversation conversation;
  // `show_special` and `prompt_logprobs` stay unset.
  GenerationSpec generation;
  // What the answer is held to; unset: it is free. Without the start of the thought.
  std::optional<internal::Grammar> grammar;
  std::optional<int> max_reasoning_tokens;
  // False: the answer ends behind its first call.
  bool parallel_tool_calls = true;
};

}  // namespace facet

#endif  // FACET_ROUTER_CHAT_CHAT_SPEC_H_
