#include "services/gateway/openai/answer_parts.h"

#include <algorithm>

#include "absl/strings/match.h"

namespace facet {
namespace {

// JSON has no infinity: a token that cannot be has the least log-probability that clients expect.
constexpr double kLeastLogprob = -9999;

Json BytesJson(const std::string& text) {
  if (absl::StrContains(text, "\xEF\xBF\xBD")) return nullptr;
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

Json TokenJson(int32_t id, float logprob, const TokenText& text_of) {
  const std::string text = text_of(id);
  return {{"token", text},
          {"token_id", id},
          {"logprob", std::max<double>(logprob, kLeastLogprob)},
          {"bytes", BytesJson(text)}};
}

}  // namespace

Json HeadJson(const AnswerHead& head, const char* object) {
  return {{"id", head.id}, {"object", object}, {"created", head.created}, {"model", head.model}};
}

Json UsageJson(const v1::Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens()},
          {"completion_tokens", usage.completion_tokens()},
          {"total_tokens", int64_t{usage.prompt_tokens()} + usage.completion_tokens()},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens()}}},
          {"completion_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens()}}}};
}

const char* FinishReasonName(v1::FinishReason reason) {
  switch (reason) {
    case v1::STOP:
    case v1::STOP_SEQUENCE:
      return "stop";
    case v1::LENGTH:
      return "length";
    case v1::TOOL_CALL:
      return "tool_calls";
    default:
      return "cancelled";
  }
}

Json LogprobJson(const v1::TokenLogprob& logprob, const TokenText& text) {
  Json json = TokenJson(logprob.token_id(), logprob.logprob(), text);
  Json& top = json["top_logprobs"] = Json::array();
  for (const v1::TopLogprob& other : logprob.top()) {
    top.push_back(TokenJson(other.token_id(), other.logprob(), text));
  }
  return json;
}

}  // namespace facet
