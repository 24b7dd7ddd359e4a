#ifndef FACET_ROUTER_GENERATION_OUTPUT_H_
#define FACET_ROUTER_GENERATION_OUTPUT_H_

#include <deque>
#include <optional>

#include "proto/facet/internal/shard_engine.pb.h"
#include "proto/facet/v1/generation.pb.h"
#include "router/call_output.h"
#include "router/generation_spec.h"
#include "router/served_model.h"
#include "router/stream_assembler.h"

namespace facet {

// The output of Generate: messages are v1::GenerateResponse. A completion ends by itself with a
// stop string; STOP and LENGTH become STOP_SEQUENCE when the text that was held back is one.
//
// Thread-compatible.
class GenerationOutput final : public CallOutput {
 public:
  // Tokens in one message about the prompt: with 20 alternatives each, some 150 KB.
  static constexpr int kPromptTokensPerMessage = 512;

  // `start`: the message, without the cached tokens. `model` must outlive it.
  GenerationOutput(const ServedModel* model, const GenerationSpec& spec, v1::StreamStart start);

  void Restart() override { prompt_tokens_of_attempt_ = 0; }
  void AddPrompt(const Tokens& tokens) override;
  int pending_prompt_tokens() const override { return static_cast<int>(prompt_.size()); }
  using CallOutput::completion_tokens;
  int completion_tokens(int index) const override {
    return completions_[Place(index)].assembler.completion_tokens();
  }

 private:
  struct Completion {
    Completion(const ServedModel* model, const GenerationSpec& spec) : assembler(model, spec) {}

    StreamAssembler assembler;
    v1::Delta delta;
  };

  std::optional<v1::FinishReason> PushTokens(int index, const Tokens& tokens) override;
  v1::FinishReason FinishCompletion(int index, v1::FinishReason reason) override;
  void WriteStart(Message* message) override;
  bool WritePrompt(Message* message) override;
  bool WriteDelta(int index, Message* message) override;
  bool WriteSequenceEnd(int index, Message* message) override;
  void WriteEnd(const v1::Timings& timings, Message* message) override;
  int PendingTokens(int index) const override {
    return completions_[Place(index)].delta.token_ids_size();
  }
  void DropPending() override;

  const int prompt_top_;  // alternatives for each token of the prompt
  const v1::StreamStart start_;
  std::deque<v1::TokenLogprob> prompt_;
  int prompt_tokens_seen_ = 0;
  int prompt_tokens_of_attempt_ = 0;
  std::deque<Completion> completions_;
};

}  // namespace facet

#endif  // FACET_ROUTER_GENERATION_OUTPUT_H_
