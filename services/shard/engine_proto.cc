#include "services/shard/engine_proto.h"

#include <string>
#include <utility>

#include "base/retry_after.h"

namespace facet {
namespace {

SamplingParams SamplingOf(const internal::SubmitRequest& request) {
  const internal::SamplingSettings& from = request.sampling();
  SamplingParams to;
  to.temperature = from.temperature();
  to.top_k = from.top_k();
  to.top_p = from.top_p();
  to.min_p = from.min_p();
  to.repetition_penalty = from.repetition_penalty();
  to.presence_penalty = from.presence_penalty();
  to.frequency_penalty = from.frequency_penalty();
  to.seed = from.seed();
  to.logit_bias.assign(from.logit_bias().begin(), from.logit_bias().end());
  to.suppress_tokens.assign(from.suppress_tokens().begin(), from.suppress_tokens().end());
  if (request.want_logprobs()) to.logprobs = request.top_logprobs();
  return to;
}

StopConditions StoppingOf(const internal::StoppingSettings& from) {
  StopConditions to;
  to.max_tokens = from.max_tokens();
  to.min_tokens = from.min_tokens();
  to.ignore_eos = from.ignore_eos();
  to.end_token_ids.assign(from.end_token_ids().begin(), from.end_token_ids().end());
  to.stop_token_ids.assign(from.stop_token_ids().begin(), from.stop_token_ids().end());
  return to;
}

internal::Finish::Reason ReasonOf(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return internal::Finish::STOP;
    case FinishReason::kLength:
      return internal::Finish::LENGTH;
    case FinishReason::kCancelled:
      return internal::Finish::CANCELLED;
    case FinishReason::kError:
    case FinishReason::kNone:
      break;
  }
  return internal::Finish::ERROR;
}

}  // namespace

EngineRequest FromProto(internal::SubmitRequest request) {
  EngineRequest out;
  out.sampling = SamplingOf(request);
  out.stopping = StoppingOf(request.stopping());
  out.request_id = std::move(*request.mutable_request_id());
  out.prompt.assign(request.prompt().begin(), request.prompt().end());
  out.priority = request.priority();
  if (request.timeout_ms() != 0) out.timeout = absl::Milliseconds(request.timeout_ms());
  return out;
}

internal::SequenceOutput ToProto(const EngineOutput& output) {
  internal::SequenceOutput out;
  out.set_id(output.id);
  for (const SampledToken& token : output.tokens) {
    internal::TokenOutput* to = out.add_tokens();
    to->set_token_id(token.token);
    to->set_logprob(token.logprob);
    for (const TokenLogprob& top : token.top_logprobs) {
      to->add_top_ids(top.token);
      to->add_top_logprobs(top.logprob);
    }
  }
  if (output.finish.has_value()) {
    internal::Finish* finish = out.mutable_finish();
    finish->set_reason(ReasonOf(output.finish->reason));
    finish->set_queue_seconds(absl::ToDoubleSeconds(output.finish->queued));
    if (!output.finish->status.ok()) {
      finish->set_code(static_cast<int>(output.finish->status.code()));
      finish->set_message(std::string(output.finish->status.message()));
    }
    if (const auto after = RetryAfter(output.finish->status)) {
      finish->set_retry_after_ms(static_cast<int>(absl::ToInt64Milliseconds(*after)));
    }
  }
  return out;
}

}  // namespace facet
