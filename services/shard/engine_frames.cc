#include "services/shard/engine_frames.h"

#include <string>

#include "absl/time/time.h"
#include "base/retry_after.h"

namespace facet {
namespace {

using internal::Finish;

SamplingParams ToSamplingParams(const internal::SubmitRequest& submit) {
  const internal::SamplingSettings& settings = submit.sampling();
  SamplingParams out;
  out.temperature = settings.temperature();
  out.top_k = settings.top_k();
  out.top_p = settings.top_p();
  out.min_p = settings.min_p();
  out.repetition_penalty = settings.repetition_penalty();
  out.presence_penalty = settings.presence_penalty();
  out.frequency_penalty = settings.frequency_penalty();
  out.seed = settings.seed();
  out.logit_bias.assign(settings.logit_bias().begin(), settings.logit_bias().end());
  out.suppress_tokens.assign(settings.suppress_tokens().begin(), settings.suppress_tokens().end());
  if (submit.want_logprobs()) out.logprobs = submit.top_logprobs();
  return out;
}

StopConditions ToStopConditions(const internal::StoppingSettings& settings) {
  StopConditions out;
  out.max_tokens = settings.max_tokens();
  out.min_tokens = settings.min_tokens();
  out.ignore_eos = settings.ignore_eos();
  out.end_token_ids.assign(settings.end_token_ids().begin(), settings.end_token_ids().end());
  out.stop_token_ids.assign(settings.stop_token_ids().begin(), settings.stop_token_ids().end());
  return out;
}

Finish::Reason ToReason(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return Finish::STOP;
    case FinishReason::kLength:
      return Finish::LENGTH;
    case FinishReason::kCancelled:
      return Finish::CANCELLED;
    case FinishReason::kError:
      return Finish::ERROR;
    case FinishReason::kNone:
      break;
  }
  return Finish::REASON_UNSPECIFIED;
}

void AddToken(const SampledToken& token, internal::SequenceOutput& output) {
  internal::TokenOutput& out = *output.add_tokens();
  out.set_token_id(token.token);
  out.set_logprob(token.logprob);
  for (const TokenLogprob& top : token.top_logprobs) {
    out.add_top_ids(top.token);
    out.add_top_logprobs(top.logprob);
  }
}

void SetFinish(const EngineFinish& finish, internal::SequenceOutput& output) {
  Finish& out = *output.mutable_finish();
  out.set_reason(ToReason(finish.reason));
  out.set_queue_seconds(absl::ToDoubleSeconds(finish.queued));
  if (finish.status.ok()) return;
  out.set_code(static_cast<int>(finish.status.code()));
  out.set_message(std::string(finish.status.message()));
  if (const auto after = RetryAfter(finish.status)) {
    out.set_retry_after_ms(static_cast<int32_t>(absl::ToInt64Milliseconds(*after)));
  }
}

}  // namespace

EngineRequest ToEngineRequest(const internal::SubmitRequest& submit) {
  EngineRequest out;
  out.request_id = submit.request_id();
  out.prompt.assign(submit.prompt().begin(), submit.prompt().end());
  out.sampling = ToSamplingParams(submit);
  out.stopping = ToStopConditions(submit.stopping());
  out.priority = submit.priority();
  if (submit.timeout_ms() > 0) out.timeout = absl::Milliseconds(submit.timeout_ms());
  return out;
}

internal::EngineFrame ToEngineFrame(const std::vector<EngineOutput>& outputs) {
  internal::EngineFrame frame;
  for (const EngineOutput& output : outputs) {
    internal::SequenceOutput& out = *frame.add_outputs();
    out.set_id(output.id);
    for (const SampledToken& token : output.tokens) AddToken(token, out);
    if (output.finish) SetFinish(*output.finish, out);
  }
  return frame;
}

}  // namespace facet
