#ifndef FACET_SERVICES_GATEWAY_OPENAI_COMPLETION_REQUEST_H_
#define FACET_SERVICES_GATEWAY_OPENAI_COMPLETION_REQUEST_H_

#include "absl/status/statusor.h"
#include "proto/facet/v1/generation.pb.h"
#include "services/gateway/openai/request_options.h"

namespace facet {

struct CompletionQuery {
  v1::GenerateRequest request;
  AnswerOptions answer;
};

// The body of POST /v1/completions (docs/openai.md lists the fields). One prompt: a string, an
// array of token ids, or an array of one of these. Control tokens in a string count as such.
absl::StatusOr<CompletionQuery> ReadCompletionRequest(const Json& body, bool ignore_unknown);

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_OPENAI_COMPLETION_REQUEST_H_
