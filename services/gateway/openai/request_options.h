#ifndef FACET_SERVICES_GATEWAY_OPENAI_REQUEST_OPTIONS_H_
#define FACET_SERVICES_GATEWAY_OPENAI_REQUEST_OPTIONS_H_

// The fields that /v1/chat/completions and /v1/completions have in common.

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/facet/v1/sampling.pb.h"
#include "services/gateway/openai/json_fields.h"

namespace facet {

// How a request wants its answer. The rest of it is in the message to the router.
struct AnswerOptions {
  bool stream = false;
  bool include_usage = false;  // stream: the usage at the end
  bool logprobs = false;
};

// stream, stream_options.
absl::StatusOr<AnswerOptions> ReadAnswerOptions(const JsonFields& request);

// temperature, top_p, frequency_penalty, presence_penalty, logit_bias, seed; beside OpenAI's:
// top_k, min_p, repetition_penalty.
absl::Status ReadSampling(const JsonFields& request, v1::SamplingParams* sampling);

// stop, max_tokens, max_completion_tokens; beside OpenAI's: min_tokens, ignore_eos, stop_token_ids.
absl::Status ReadStopping(const JsonFields& request, v1::StoppingParams* stopping);

// n, unset: 1.
absl::StatusOr<int> ReadN(const JsonFields& request);

// response_format; null leaves it unset. A json_object is a JSON object of any content.
absl::Status ReadResponseFormat(const JsonFields& request, v1::ResponseFormat* format);

// The names of all these fields, and of OpenAI's that have no effect on the answer: model, n,
// stream, user, metadata, store, ...
const std::set<std::string>& CommonFields();

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_OPENAI_REQUEST_OPTIONS_H_
