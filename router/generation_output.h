#ifndef FACET_ROUTER_GENERATION_OUTPUT_H_
#define FACET_ROUTER_GENERATION_OUTPUT_H_

#include <cstddef>
#include <deque>
#include <optional>

#include "proto/facet/internal/shard_engine.pb.h"
#include "proto/facet/v1/generation.pb.h"
#include "router/generation_spec.h"
#include "router/served_model.h"
#include "router/stream_assembler.h"

namespace facet {

// What the shard group has said of one request and its caller has not read yet, in the order of the
// public stream: start, log-probabilities of the prompt, deltas and ends of the completions, end.
//
// What waits is merged: one delta for each completion, and few messages for the prompt. So a slow
// caller gets fewer, larger messages.
//
// Thread-compatible.
class GenerationOutput {
 public:
  using Tokens = google::protobuf::RepeatedPtrField<internal::TokenOutput>;

  // Tokens in one message about the prompt: with 20 alternatives each, some 150 KB.
  static constexpr int kPromptTokensPerMessage = 512;

  // `start`: the message, without the cached tokens. `model` must outlive it.
  GenerationOutput(const ServedModel* model, const GenerationSpec& spec, v1::StreamStart start);

  // ---- what the group says

  // The first step is planned. A caller who has read that already is not told again, as when the
  // request moved to another group; the usage has the last number.
  void Started(int cached_tokens);
  bool started() const { return started_; }

  // The request begins anew, on another group: it will send what it says of the prompt again.
  void Restart() { prompt_tokens_of_attempt_ = 0; }
  void AddPrompt(const Tokens& tokens);

  // New tokens of a completion that has not ended. True when they completed a stop string: it has
  // ended then.
  bool Push(int index, const Tokens& tokens);
  // A completion that has not ended has no more tokens. STOP and LENGTH become STOP_SEQUENCE when
  // the text that was held back is a stop string.
  void End(int index, v1::FinishReason reason);
  // All have ended: the last message.
  void Close(const v1::Timings& timings);

  // ---- what the caller reads

  // The next message; false if there is none.
  bool Take(v1::GenerateResponse* message);
  // Nobody reads what waits, nor what comes.
  void Drop();

  // Tokens that wait to be read: of all completions; and those of the prompt.
  int pending_tokens() const;
  int pending_prompt_tokens() const { return static_cast<int>(prompt_.size()); }
  bool empty() const;

  int n() const { return static_cast<int>(completions_.size()); }
  bool ended(int index) const { return completions_[Place(index)].ended; }
  bool all_ended() const { return running_ == 0; }
  int completion_tokens() const;  // of all
  int completion_tokens(int index) const {
    return completions_[Place(index)].assembler.completion_tokens();
  }
  int cached_tokens() const { return cached_tokens_; }
  v1::FinishReason finish_reason() const { return completions_.front().reason; }  // of the first

 private:
  struct Completion {
    Completion(const ServedModel* model, const GenerationSpec& spec) : assembler(model, spec) {}

    StreamAssembler assembler;
    v1::Delta delta;
    bool ended = false;
    bool end_pending = false;  // a SequenceEnd is to be sent
    v1::FinishReason reason = v1::FINISH_REASON_UNSPECIFIED;
  };

  static size_t Place(int index) { return static_cast<size_t>(index); }
  void Ended(Completion& completion, v1::FinishReason reason);
  void TakePrompt(v1::PromptLogprobs* message);
  bool TakeFrom(int index, v1::GenerateResponse* message);

  const int prompt_top_;  // alternatives for each token of the prompt
  v1::StreamStart start_;
  bool started_ = false;
  bool start_pending_ = false;
  int cached_tokens_ = 0;

  std::deque<v1::TokenLogprob> prompt_;
  int prompt_tokens_seen_ = 0;
  int prompt_tokens_of_attempt_ = 0;

  std::deque<Completion> completions_;
  int running_;
  int turn_ = 0;  // the completion that is read next
  std::optional<v1::StreamEnd> end_;
};

}  // namespace facet

#endif  // FACET_ROUTER_GENERATION_OUTPUT_H_
