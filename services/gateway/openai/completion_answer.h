#ifndef FACET_SERVICES_GATEWAY_OPENAI_COMPLETION_ANSWER_H_
#define FACET_SERVICES_GATEWAY_OPENAI_COMPLETION_ANSWER_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "proto/facet/v1/generation.pb.h"
#include "services/gateway/openai/answer_parts.h"
#include "services/gateway/openai/request_options.h"

namespace facet {

// Turns the events of one Generate call into OpenAI's text_completion, whole or in chunks. Not
// thread-safe.
class CompletionAnswer {
 public:
  using Response = v1::GenerateResponse;
  // What a request's prompt is made of.
  static constexpr char kPromptField[] = "prompt";

  CompletionAnswer(AnswerHead head, const AnswerOptions& options, int n, TokenText text);

  // As ChatAnswer.
  static std::set<int32_t> TokensOf(const v1::GenerateResponse& event);
  std::vector<Json> Take(const v1::GenerateResponse& event);
  Json Whole() const;
  bool complete() const { return complete_; }
  const AnswerHead& head() const { return head_; }
  const v1::Usage& usage() const { return usage_; }

 private:
  struct Choice {
    std::string text;
    std::vector<v1::TokenLogprob> logprobs;
    int64_t characters = 0;  // of the tokens so far: where the next one begins
    v1::FinishReason finish_reason = v1::FINISH_REASON_UNSPECIFIED;
  };

  Json Chunk(int index, const std::string& text, Json logprobs, Json finish_reason) const;
  std::vector<Json> TakeDelta(const v1::Delta& delta);
  std::vector<Json> EndChoice(int index, v1::FinishReason reason);
  std::vector<Json> TakeEnd(const v1::StreamEnd& end);
  template <class Tokens>
  Json LogprobsJson(const Tokens& tokens, int64_t* characters) const;

  AnswerHead head_;
  const AnswerOptions options_;
  const TokenText text_;
  std::vector<Choice> choices_;
  v1::Usage usage_;
  bool complete_ = false;
};

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_OPENAI_COMPLETION_ANSWER_H_
