#include "router/generation_output.h"

#include <algorithm>
#include <utility>

#include "router/token_logprob.h"

namespace facet {
namespace {

v1::GenerateResponse* AsResponse(CallOutput::Message* message) {
  return google::protobuf::DynamicCastToGenerated<v1::GenerateResponse>(message);
}

}  // namespace

GenerationOutput::GenerationOutput(const ServedModel* model, const GenerationSpec& spec,
                                   v1::StreamStart start)
    : CallOutput(spec.n, start.prompt_tokens()),
      prompt_top_(spec.prompt_logprobs.value_or(0)),
      start_(std::move(start)) {
  for (int i = 0; i < spec.n; ++i) completions_.emplace_back(model, spec);
}

void GenerationOutput::AddPrompt(const Tokens& tokens) {
  for (const internal::TokenOutput& token : tokens) {
    if (++prompt_tokens_of_attempt_ <= prompt_tokens_seen_) continue;  // from the group before
    ++prompt_tokens_seen_;
    prompt_.push_back(ToTokenLogprob(token, prompt_top_));
  }
}

std::optional<v1::FinishReason> GenerationOutput::PushTokens(int index, const Tokens& tokens) {
  Completion& completion = completions_[Place(index)];
  if (!completion.assembler.Push(tokens, &completion.delta)) return std::nullopt;
  return v1::STOP_SEQUENCE;
}

v1::FinishReason GenerationOutput::FinishCompletion(int index, v1::FinishReason reason) {
  Completion& completion = completions_[Place(index)];
  const bool stopped = completion.assembler.Finish(&completion.delta);
  return stopped && reason != v1::CANCELLED ? v1::STOP_SEQUENCE : reason;
}

void GenerationOutput::WriteStart(Message* message) {
  v1::StreamStart& start = *AsResponse(message)->mutable_start();
  start = start_;
  start.set_cached_tokens(cached_tokens());
}

bool GenerationOutput::WritePrompt(Message* message) {
  if (prompt_.empty()) return false;
  v1::PromptLogprobs& out = *AsResponse(message)->mutable_prompt_logprobs();
  // Position 0 has none.
  out.set_first_position(1 + prompt_tokens_seen_ - pending_prompt_tokens());
  const auto end = prompt_.begin() + std::min(kPromptTokensPerMessage, pending_prompt_tokens());
  std::for_each(prompt_.begin(), end,
                [&out](v1::TokenLogprob& token) { *out.add_tokens() = std::move(token); });
  prompt_.erase(prompt_.begin(), end);
  return true;
}

bool GenerationOutput::WriteDelta(int index, Message* message) {
  Completion& completion = completions_[Place(index)];
  if (StreamAssembler::IsEmpty(completion.delta)) return false;
  v1::Delta& delta = *AsResponse(message)->mutable_delta();
  delta = std::move(completion.delta);
  delta.set_index(index);
  completion.delta.Clear();
  return true;
}

bool GenerationOutput::WriteSequenceEnd(int index, Message* message) {
  if (n() == 1) return false;
  v1::SequenceEnd& end = *AsResponse(message)->mutable_sequence_end();
  end.set_index(index);
  end.set_finish_reason(CallOutput::finish_reason(index));
  end.set_completion_tokens(completion_tokens(index));
  if (end.finish_reason() == v1::STOP_SEQUENCE) {
    end.set_matched_stop(completions_[Place(index)].assembler.matched_stop());
  }
  return true;
}

void GenerationOutput::WriteEnd(const v1::Timings& timings, Message* message) {
  v1::StreamEnd& end = *AsResponse(message)->mutable_end();
  end.set_finish_reason(CallOutput::finish_reason(0));
  *end.mutable_usage() = MakeUsage();
  *end.mutable_timings() = timings;
  if (end.finish_reason() == v1::STOP_SEQUENCE) {
    end.set_matched_stop(completions_.front().assembler.matched_stop());
  }
}

void GenerationOutput::DropPending() {
  prompt_.clear();
  for (Completion& completion : completions_) completion.delta.Clear();
}

}  // namespace facet
