#ifndef FACET_SERVICES_GATEWAY_OPENAI_ANSWER_PARTS_H_
#define FACET_SERVICES_GATEWAY_OPENAI_ANSWER_PARTS_H_

// What the answers of chat and completions have in common.

#include <cstdint>
#include <functional>
#include <string>

#include "proto/facet/v1/output.pb.h"
#include "services/gateway/openai/json_fields.h"

namespace facet {

// The fields of a whole answer and of each chunk.
struct AnswerHead {
  std::string id;       // "chatcmpl-..."
  int64_t created = 0;  // seconds since 1970
  std::string model;    // as the request calls it, until the router says its name
};

// The text of a token, for log-probabilities. Must be valid UTF-8.
using TokenText = std::function<std::string(int32_t)>;

Json HeadJson(const AnswerHead& head, const char* object);
Json UsageJson(const v1::Usage& usage);
// "stop", "length", "tool_calls", or "cancelled" where the router gave up.
const char* FinishReasonName(v1::FinishReason reason);

// An element of logprobs.content: token, logprob, bytes (null where the token is a part of a
// character), top_logprobs; and token_id, which OpenAI has not.
Json LogprobJson(const v1::TokenLogprob& logprob, const TokenText& text);

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_OPENAI_ANSWER_PARTS_H_
