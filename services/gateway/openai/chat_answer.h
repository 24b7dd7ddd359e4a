#ifndef FACET_SERVICES_GATEWAY_OPENAI_CHAT_ANSWER_H_
#define FACET_SERVICES_GATEWAY_OPENAI_CHAT_ANSWER_H_

#include <set>
#include <string>
#include <vector>

#include "proto/facet/v1/chat.pb.h"
#include "services/gateway/openai/answer_parts.h"
#include "services/gateway/openai/request_options.h"

namespace facet {

// Turns the events of one Chat call into OpenAI's chat.completion, or into its chunks. Not
// thread-safe.
class ChatAnswer {
 public:
  using Response = v1::ChatResponse;
  // What a request's prompt is made of.
  static constexpr char kPromptField[] = "messages";

  ChatAnswer(AnswerHead head, const AnswerOptions& options, int n, TokenText text);

  // Tokens whose text this event asks for.
  static std::set<int32_t> TokensOf(const v1::ChatResponse& event);

  // Takes the next event. With `stream`: the chunks to send for it, often one; else none.
  std::vector<Json> Take(const v1::ChatResponse& event);

  // The whole answer; after the last event, without `stream`.
  Json Whole() const;

  // True once the last event is there.
  bool complete() const { return complete_; }
  const AnswerHead& head() const { return head_; }
  const v1::Usage& usage() const { return usage_; }

 private:
  struct Choice {
    std::string content, reasoning;
    Json tool_calls = Json::array();
    Json logprobs = Json::array();
    v1::FinishReason finish_reason = v1::FINISH_REASON_UNSPECIFIED;
  };

  Json Chunk(int index, Json delta, Json finish_reason) const;
  std::vector<Json> TakeStart(const v1::ChatStart& start);
  std::vector<Json> TakeDelta(const v1::ChatDelta& delta);
  std::vector<Json> TakeEnd(const v1::ChatEnd& end);
  void Add(const v1::ChatDelta& delta, Choice* choice) const;
  Json ChunkOf(const v1::ChatDelta& delta) const;
  Json LogprobsOf(const v1::ChatDelta& delta) const;
  Json MessageOf(const Choice& choice) const;

  AnswerHead head_;
  const AnswerOptions options_;
  const TokenText text_;
  std::vector<Choice> choices_;
  v1::Usage usage_;
  bool complete_ = false;
};

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_OPENAI_CHAT_ANSWER_H_
