#include "router/generation_output.h"

#include <algorithm>
#include <utility>

#include "router/token_logprob.h"

namespace facet {

GenerationOutput::GenerationOutput(const ServedModel* model, const GenerationSpec& spec,
                                   v1::StreamStart start)
    : prompt_top_(spec.prompt_logprobs.value_or(0)), start_(std::move(start)), running_(spec.n) {
  for (int i = 0; i < spec.n; ++i) completions_.emplace_back(model, spec);
}

void GenerationOutput::Started(int cached_tokens) {
  cached_tokens_ = cached_tokens;
  start_.set_cached_tokens(cached_tokens);
  if (!started_) start_pending_ = true;
  started_ = true;
}

void GenerationOutput::AddPrompt(const Tokens& tokens) {
  for (const internal::TokenOutput& token : tokens) {
    if (++prompt_tokens_of_attempt_ <= prompt_tokens_seen_) continue;  // from the group before
    ++prompt_tokens_seen_;
    prompt_.push_back(ToTokenLogprob(token, prompt_top_));
  }
}

bool GenerationOutput::Push(int index, const Tokens& tokens) {
  Completion& completion = completions_[Place(index)];
  const bool stopped = completion.assembler.Push(tokens, &completion.delta);
  if (stopped) Ended(completion, v1::STOP_SEQUENCE);
  return stopped;
}

void GenerationOutput::End(int index, v1::FinishReason reason) {
  Completion& completion = completions_[Place(index)];
  const bool stopped = completion.assembler.Finish(&completion.delta);
  Ended(completion, stopped && reason != v1::CANCELLED ? v1::STOP_SEQUENCE : reason);
}

void GenerationOutput::Ended(Completion& completion, v1::FinishReason reason) {
  completion.ended = true;
  completion.reason = reason;
  completion.end_pending = n() > 1;
  --running_;
}

void GenerationOutput::Close(const v1::Timings& timings) {
  v1::StreamEnd& end = end_.emplace();
  end.set_finish_reason(finish_reason());
  end.mutable_usage()->set_prompt_tokens(start_.prompt_tokens());
  end.mutable_usage()->set_cached_tokens(cached_tokens_);
  end.mutable_usage()->set_completion_tokens(completion_tokens());
  *end.mutable_timings() = timings;
  if (finish_reason() == v1::STOP_SEQUENCE) {
    end.set_matched_stop(completions_.front().assembler.matched_stop());
  }
}

bool GenerationOutput::Take(v1::GenerateResponse* message) {
  message->Clear();
  if (start_pending_) {
    start_pending_ = false;
    *message->mutable_start() = start_;
    return true;
  }
  if (!prompt_.empty()) {
    TakePrompt(message->mutable_prompt_logprobs());
    return true;
  }
  for (int i = 0; i < n(); ++i) {
    const int index = turn_;
    turn_ = (turn_ + 1) % n();
    if (TakeFrom(index, message)) return true;
  }
  if (!end_.has_value()) return false;
  *message->mutable_end() = *std::move(end_);
  end_.reset();
  return true;
}

void GenerationOutput::TakePrompt(v1::PromptLogprobs* message) {
  // Position 0 has none.
  message->set_first_position(1 + prompt_tokens_seen_ - pending_prompt_tokens());
  const auto end = prompt_.begin() + std::min(kPromptTokensPerMessage, pending_prompt_tokens());
  std::for_each(prompt_.begin(), end,
                [message](v1::TokenLogprob& token) { *message->add_tokens() = std::move(token); });
  prompt_.erase(prompt_.begin(), end);
}

bool GenerationOutput::TakeFrom(int index, v1::GenerateResponse* message) {
  Completion& completion = completions_[Place(index)];
  if (!StreamAssembler::IsEmpty(completion.delta)) {
    *message->mutable_delta() = std::move(completion.delta);
    message->mutable_delta()->set_index(index);
    completion.delta.Clear();
    return true;
  }
  if (!completion.end_pending) return false;
  completion.end_pending = false;
  v1::SequenceEnd& end = *message->mutable_sequence_end();
  end.set_index(index);
  end.set_finish_reason(completion.reason);
  end.set_completion_tokens(completion.assembler.completion_tokens());
  if (completion.reason == v1::STOP_SEQUENCE) {
    end.set_matched_stop(completion.assembler.matched_stop());
  }
  return true;
}

void GenerationOutput::Drop() {
  start_pending_ = false;
  prompt_.clear();
  for (Completion& completion : completions_) {
    completion.delta.Clear();
    completion.end_pending = false;
  }
  end_.reset();
}

int GenerationOutput::pending_tokens() const {
  int count = 0;
  for (const Completion& completion : completions_) count += completion.delta.token_ids_size();
  return count;
}

bool GenerationOutput::empty() const {
  return !start_pending_ && prompt_.empty() && !end_.has_value() &&
         std::all_of(completions_.begin(), completions_.end(), [](const Completion& completion) {
           return StreamAssembler::IsEmpty(completion.delta) && !completion.end_pending;
         });
}

int GenerationOutput::completion_tokens() const {
  int count = 0;
  for (const Completion& completion : completions_) {
    count += completion.assembler.completion_tokens();
  }
  return count;
}

}  // namespace facet
