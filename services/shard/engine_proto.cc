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

void Fill(const SampledToken& token, internal::TokenOutput* to) {
  to->set_token_id(token.token);
  to->set_logprob(token.logprob);
  for (const TokenLogprob& top : token.top_logprobs) {
    to->add_top_ids(top.token);
    to->add_top_logprobs(top.logprob);
  }
}

void Fill(const EngineFinish& finish, internal::Finish* to) {
  to->set_reason(ReasonOf(finish.reason));
  to->set_queue_seconds(absl::ToDoubleSeconds(finish.queued));
  if (!finish.status.ok()) {
    to->set_code(static_cast<int>(finish.status.code()));
    to->set_message(std::string(finish.status.message()));
  }
  if (const auto after = RetryAfter(finish.status)) {
    to->set_retry_after_ms(static_cast<int>(absl::ToInt64Milliseconds(*after)));
  }
}

}  // namespace

EngineRequest FromProto(internal::SubmitRequest request) {
  EngineRequest out;
  out.sampling = SamplingOf(request);
  out.stopping = StoppingOf(request.stopping());
  out.request_id = std::move(*request.mutable_request_id());
  out.prompt.assign(request.prompt().begin(), request.prompt().end());
  if (request.n() != 0) out.n = request.n();
  if (request.want_prompt_logprobs()) out.prompt_logprobs = request.top_prompt_logprobs();
  out.cache_salt = std::move(*request.mutable_cache_salt());
  out.priority = request.priority();
  if (request.timeout_ms() != 0) out.timeout = absl::Milliseconds(request.timeout_ms());
  return out;
}

internal::SequenceOutput ToProto(const EngineOutput& output) {
  internal::SequenceOutput out;
  out.set_id(output.id);
  out.set_index(output.index);
  if (output.started.has_value()) {
    out.mutable_started()->set_cached_tokens(output.started->cached_tokens);
    out.mutable_started()->set_queue_seconds(absl::ToDoubleSeconds(output.started->queued));
  }
  for (const SampledToken& token : output.prompt) Fill(token, out.add_prompt());
  for (const SampledToken& token : output.tokens) Fill(token, out.add_tokens());
  if (output.finish.has_value()) Fill(*output.finish, out.mutable_finish());
  return out;
}

}  // namespace facet
