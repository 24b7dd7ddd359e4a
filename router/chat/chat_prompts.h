#ifndef FACET_ROUTER_CHAT_CHAT_PROMPTS_H_
#define FACET_ROUTER_CHAT_CHAT_PROMPTS_H_

// Chat requests: what is sound, and the prompt that it becomes.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/answer/control_tokens.h"
#include "proto/facet/v1/chat.pb.h"
#include "router/chat/chat_spec.h"
#include "router/request_validator.h"
#include "router/served_model.h"

namespace facet {

// The bounds of chats, beside those of RequestLimits.
struct ChatLimits {
  static constexpr int kMaxMessages = 10000;
  static constexpr int kMaxTools = 128;
};

struct ChatPrompt {
  std::string text;
  std::vector<int32_t> token_ids;
  bool ends_in_thought = false;  // the answer begins inside a thought
};

// Thread-safe. `model` and `validator` must outlive it.
class ChatPrompts {
 public:
  ChatPrompts(const ServedModel* model, const RequestValidator* validator);

  // Every field but the lengths in tokens.
  //   InvalidArgument    names the field as the proto does, its value and what is allowed
  //   NotFound           there is no such model
  //   FailedPrecondition the model has no tokenizer
  // A call is impossible with tool_choice NONE: its first token is suppressed. The answer ends with
  // the three end tokens of chats, whatever the checkpoint's generation_config.json says.
  absl::StatusOr<ChatSpec> Validate(const v1::ChatRequest& request) const;

  // The prompt of a valid request. InvalidArgument: see RenderChat (model/chat/chat_template.h);
  // or the text has a token that the model does not have.
  absl::StatusOr<ChatPrompt> Make(const ChatSpec& spec) const;
  // Both.
  absl::StatusOr<ChatPrompt> Make(const v1::ChatRequest& request) const;

  // The model must have a tokenizer.
  const ControlTokens& control_tokens() const { return *control_tokens_; }
  // <|channel> and <channel|>; -1 if the tokenizer has none.
  int32_t open_channel_id() const { return open_channel_id_; }
  int32_t close_channel_id() const { return close_channel_id_; }

 private:
  absl::Status CheckSizes(const v1::ChatRequest& request) const;
  absl::Status ResolveTools(const v1::ChatRequest& request, ChatSpec* spec) const;
  void AddEndTokens(internal::StoppingSettings* stopping) const;

  const ServedModel* const model_;
  const RequestValidator* const validator_;
  std::optional<ControlTokens> control_tokens_;
  std::vector<int32_t> end_ids_;
  int32_t open_call_id_ = -1;
  int32_t open_channel_id_ = -1, close_channel_id_ = -1;
};

}  // namespace facet

#endif  // FACET_ROUTER_CHAT_CHAT_PROMPTS_H_
