#ifndef FACET_ROUTER_CHAT_CHAT_OUTPUT_H_
#define FACET_ROUTER_CHAT_CHAT_OUTPUT_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "model/answer/answer_parser.h"
#include "model/answer/control_tokens.h"
#include "proto/facet/v1/chat.pb.h"
#include "router/call_output.h"
#include "router/chat/chat_spec.h"
#include "router/chat/content_stop.h"
#include "router/served_model.h"

namespace facet {

// The output of Chat: messages are v1::ChatResponse. The tokens of each completion are parsed into
// reasoning, content and tool calls; a call is given when it is whole, so none is ever taken back.
// What the deltas of a completion add up to depends on its tokens alone.
//
// A completion ends by itself with an end token, with a stop string in its content, and with its
// first call where there may be no second. It ends for TOOL_CALL where it would for STOP and holds
// a call.
//
// Thread-compatible.
class ChatOutput final : public CallOutput {
 public:
  struct Options {
    const ServedModel* model = nullptr;             // outlives the output; has a tokenizer
    const ControlTokens* control_tokens = nullptr;  // likewise
    bool starts_in_thought = false;
    v1::ChatStart start;  // without the cached tokens
  };
  // Keeps of `spec` what it needs.
  ChatOutput(Options options, const ChatSpec& spec);

  using CallOutput::completion_tokens;
  int completion_tokens(int index) const override { return completions_[Place(index)].tokens; }
  int reasoning_tokens() const override;
  int tool_calls() const override;
  int broken_tool_calls() const override;

 private:
  struct Completion {
    Completion(const Options& options, AnswerOptions answer, const std::vector<std::string>& stops);

    ContentStop stop;
    AnswerParser parser;
    v1::ChatDelta delta;
    int tokens = 0;
  };

  std::optional<v1::FinishReason> PushTokens(int index, const Tokens& tokens) override;
  v1::FinishReason FinishCompletion(int index, v1::FinishReason reason) override;
  void WriteStart(Message* message) override;
  bool WriteDelta(int index, Message* message) override;
  bool WriteSequenceEnd(int index, Message* message) override;
  void WriteEnd(const v1::Timings& timings, Message* message) override;
  int PendingTokens(int index) const override {
    return completions_[Place(index)].delta.token_ids_size();
  }
  void DropPending() override;

  // Whether the answer is complete with this token.
  bool PushToken(int32_t id, Completion* completion);
  // The token counts, but nobody reads it as part of the answer.
  bool IsSilent(int32_t id) const;
  // The reason of a completion that has ended by itself, or whose group says `reason`.
  static v1::FinishReason ReasonOf(const Completion& completion, v1::FinishReason reason);
  void AddEvents(Completion* completion);

  const Options options_;
  const std::optional<int> logprobs_;
  const int min_tokens_;
  const bool parallel_tool_calls_;
  std::vector<int32_t> silent_ids_;                             // sorted
  std::map<std::string, OrderedJson, std::less<>> parameters_;  // by tool
  std::deque<Completion> completions_;
  std::vector<AnswerEvent> events_;  // of one Push; kept for its memory
};

}  // namespace facet

#endif  // FACET_ROUTER_CHAT_CHAT_OUTPUT_H_
