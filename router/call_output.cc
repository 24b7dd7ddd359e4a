#include "router/call_output.h"

#include <algorithm>
#include <utility>

namespace facet {

CallOutput::CallOutput(int n, int prompt_tokens)
    : prompt_tokens_(prompt_tokens), completions_(Place(n)), running_(n) {}

void CallOutput::Started(int cached_tokens, const NotEnforced& not_enforced) {
  cached_tokens_ = cached_tokens;
  not_enforced_ = not_enforced;
  if (!started_) start_pending_ = true;
  started_ = true;
}

bool CallOutput::Push(int index, const Tokens& tokens) {
  const std::optional<v1::FinishReason> reason = PushTokens(index, tokens);
  if (reason.has_value()) Ended(index, *reason);
  return reason.has_value();
}

void CallOutput::End(int index, v1::FinishReason reason) {
  Ended(index, FinishCompletion(index, reason));
}

void CallOutput::Ended(int index, v1::FinishReason reason) {
  Completion& completion = completions_[Place(index)];
  completion.ended = true;
  completion.reason = reason;
  completion.end_pending = true;
  --running_;
}

void CallOutput::Close(const v1::Timings& timings) { close_ = timings; }

bool CallOutput::Take(Message* message) {
  message->Clear();
  if (start_pending_) {
    start_pending_ = false;
    WriteStart(message);
    return true;
  }
  if (WritePrompt(message)) return true;
  for (int i = 0; i < n(); ++i) {
    const int index = turn_;
    turn_ = (turn_ + 1) % n();
    if (TakeFrom(index, message)) return true;
  }
  if (!close_.has_value()) return false;
  WriteEnd(*close_, message);
  close_.reset();
  return true;
}

bool CallOutput::more() const {
  return start_pending_ || close_.has_value() || pending_tokens() > 0 ||
         pending_prompt_tokens() > 0 ||
         std::any_of(completions_.begin(), completions_.end(),
                     [](const Completion& completion) { return completion.end_pending; });
}

bool CallOutput::TakeFrom(int index, Message* message) {
  if (WriteDelta(index, message)) return true;
  Completion& completion = completions_[Place(index)];
  if (!completion.end_pending) return false;
  completion.end_pending = false;
  return WriteSequenceEnd(index, message);
}

void CallOutput::Drop() {
  start_pending_ = false;
  for (Completion& completion : completions_) completion.end_pending = false;
  close_.reset();
  DropPending();
}

int CallOutput::pending_tokens() const {
  int count = 0;
  for (int i = 0; i < n(); ++i) count += PendingTokens(i);
  return count;
}

int CallOutput::completion_tokens() const {
  int count = 0;
  for (int i = 0; i < n(); ++i) count += completion_tokens(i);
  return count;
}

v1::Usage CallOutput::MakeUsage() const {
  v1::Usage usage;
  usage.set_prompt_tokens(prompt_tokens_);
  usage.set_cached_tokens(cached_tokens_);
  usage.set_completion_tokens(completion_tokens());
  usage.set_reasoning_tokens(reasoning_tokens());
  return usage;
}

}  // namespace facet
