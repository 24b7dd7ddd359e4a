// Events of the router as answers and chunks of OpenAI's API.

#include <string>
#include <vector>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "services/gateway/openai/chat_answer.h"
#include "services/gateway/openai/completion_answer.h"

namespace facet {
namespace {

std::string TokenTextOf(int32_t id) {
  return id == 7 ? "caf\xC3\xA9" : id == 8 ? "\xEF\xBF\xBD" : "t";
}

template <class Answer>
class Script {
 public:
  Script(AnswerOptions options, int n)
      : answer_(AnswerHead{"id-1", 1700000000, "asked"}, options, n, TokenTextOf) {}

  // The chunks that one event makes, as JSON.
  Json Take(const std::string& event_text) {
    typename Answer::Response event;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(event_text, &event)) << event_text;
    return Json(answer_.Take(event));
  }
  const Answer& answer() const { return answer_; }

 private:
  Answer answer_;
};

constexpr AnswerOptions kWhole = {};
constexpr AnswerOptions kStream = {.stream = true};

using AnyOrder = nlohmann::json;  // compares members whatever their order

TEST(ChatAnswerTest, WholeAnswerHasThoughtContentUsageAndTheModelThatAnswered) {
  Script<ChatAnswer> script(kWhole, 1);
  EXPECT_TRUE(script.Take("start { model: 'gemma' prompt_tokens: 4 }").empty());
  script.Take("delta { reasoning: 'hm' token_ids: 1 }");
  script.Take("delta { content: 'Hel' }");
  script.Take("delta { content: 'lo' }");
  script.Take("sequence_end { finish_reason: STOP completion_tokens: 3 }");
  EXPECT_FALSE(script.answer().complete());
  script.Take(
      "end { usage { prompt_tokens: 4 cached_tokens: 2 completion_tokens: 3 reasoning_tokens: 1 } "
      "}");
  EXPECT_TRUE(script.answer().complete());
  EXPECT_EQ(AnyOrder(script.answer().Whole()), AnyOrder::parse(R"({
    "id": "id-1", "object": "chat.completion", "created": 1700000000, "model": "gemma",
    "choices": [{"index": 0, "logprobs": null, "finish_reason": "stop",
      "message": {"role": "assistant", "content": "Hello", "refusal": null,
                  "reasoning_content": "hm"}}],
    "usage": {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7,
              "prompt_tokens_details": {"cached_tokens": 2},
              "completion_tokens_details": {"reasoning_tokens": 1}}})"));
}

TEST(ChatAnswerTest, ToolCallsArePutTogetherFromTheirPieces) {
  Script<ChatAnswer> script(kWhole, 1);
  script.Take("delta { tool_calls { index: 0 id: 'a' name: 'f' arguments: '{\"x\"' } }");
  script.Take("delta { tool_calls { index: 0 arguments: ':1}' } }");
  script.Take("delta { tool_calls { index: 1 id: 'b' name: 'g' arguments: '{}' } }");
  script.Take("sequence_end { finish_reason: TOOL_CALL }");
  const Json choice = script.answer().Whole()["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_TRUE(choice["message"]["content"].is_null());
  EXPECT_EQ(AnyOrder(choice["message"]["tool_calls"]), AnyOrder::parse(R"([
    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
    {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}])"));
}

TEST(ChatAnswerTest, CompletionsAreKeptApart) {
  Script<ChatAnswer> script(kWhole, 2);
  script.Take("delta { index: 1 content: 'b' }");
  script.Take("delta { index: 0 content: 'a' }");
  script.Take("sequence_end { index: 1 finish_reason: LENGTH }");
  script.Take("sequence_end { index: 0 finish_reason: STOP_SEQUENCE }");
  const Json choices = script.answer().Whole()["choices"];
  ASSERT_EQ(choices.size(), 2u);
  EXPECT_EQ(choices[0]["message"]["content"], "a");
  EXPECT_EQ(choices[0]["finish_reason"], "stop");
  EXPECT_EQ(choices[1]["message"]["content"], "b");
  EXPECT_EQ(choices[1]["finish_reason"], "length");
}

TEST(ChatAnswerTest, AStreamBeginsEachCompletionWithItsRoleAndEndsItWithItsReason) {
  Script<ChatAnswer> script(kStream, 2);
  const Json start = script.Take("start { model: 'gemma' }");
  ASSERT_EQ(start.size(), 2u);
  EXPECT_EQ(AnyOrder(start[1]), AnyOrder::parse(R"({"id": "id-1", "object": "chat.completion.chunk",
    "created": 1700000000, "model": "gemma", "choices": [{"index": 1, "finish_reason": null,
    "logprobs": null, "delta": {"role": "assistant", "content": ""}}]})"));
  EXPECT_EQ(script.Take("delta { index: 1 content: 'x' }")[0]["choices"][0]["delta"],
            Json({{"content", "x"}}));
  const Json end = script.Take("sequence_end { index: 1 finish_reason: LENGTH }");
  EXPECT_EQ(end[0]["choices"][0]["delta"], Json::object());
  EXPECT_EQ(end[0]["choices"][0]["finish_reason"], "length");
  EXPECT_TRUE(script.Take("end {}").empty());
}

TEST(ChatAnswerTest, AStreamCarriesThoughtsAndPiecesOfArgumentsAsTheyCome) {
  Script<ChatAnswer> script(kStream, 1);
  EXPECT_EQ(script.Take("delta { reasoning: 'hm' }")[0]["choices"][0]["delta"],
            Json({{"reasoning_content", "hm"}}));
  EXPECT_EQ(
      AnyOrder(script.Take("delta { tool_calls { id: 'a' name: 'f' } }")[0]["choices"][0]["delta"]),
      AnyOrder::parse(R"({"tool_calls": [{"index": 0, "id": "a", "type": "function",
                            "function": {"name": "f", "arguments": ""}}]})"));
  EXPECT_EQ(
      AnyOrder(script.Take("delta { tool_calls { arguments: '{' } }")[0]["choices"][0]["delta"]),
      AnyOrder::parse(R"({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]})"));
  EXPECT_TRUE(script.Take("delta { token_ids: 5 }").empty());
}

TEST(ChatAnswerTest, UsageIsTheLastChunkWhereItIsAskedFor) {
  Script<ChatAnswer> script({.stream = true, .include_usage = true}, 1);
  EXPECT_TRUE(script.Take("delta { content: 'x' }")[0]["usage"].is_null());
  const Json end = script.Take("end { usage { prompt_tokens: 1 completion_tokens: 2 } }");
  ASSERT_EQ(end.size(), 1u);
  EXPECT_EQ(end[0]["choices"], Json::array());
  EXPECT_EQ(end[0]["usage"]["total_tokens"], 3);
}

TEST(ChatAnswerTest, LogprobsHaveTextsBytesAndTheLikeliest) {
  const std::string delta =
      "delta { content: 'x' logprobs { token_id: 7 logprob: -0.5 top { token_id: 8 logprob: -1 } } "
      "}";
  const Json want = Json::parse(R"([{"token": "café", "token_id": 7, "logprob": -0.5,
    "bytes": [99, 97, 102, 195, 169], "top_logprobs": [
      {"token": "\uFFFD", "token_id": 8, "logprob": -1.0, "bytes": null}]}])");
  Script<ChatAnswer> whole({.logprobs = true}, 1);
  whole.Take(delta);
  EXPECT_EQ(whole.answer().Whole()["choices"][0]["logprobs"]["content"], want);
  Script<ChatAnswer> stream({.stream = true, .logprobs = true}, 1);
  EXPECT_EQ(stream.Take(delta)[0]["choices"][0]["logprobs"]["content"], want);
}

TEST(ChatAnswerTest, AnEventOfANewerRouterOrOfNoCompletionIsPassedOver) {
  Script<ChatAnswer> script(kStream, 1);
  EXPECT_TRUE(script.Take("").empty());
  EXPECT_TRUE(script.Take("delta { index: 1 content: 'x' }").empty());
  EXPECT_TRUE(script.Take("sequence_end { index: -1 }").empty());
}

TEST(CompletionAnswerTest, WholeAnswer) {
  Script<CompletionAnswer> script(kWhole, 1);
  script.Take("start { model: 'gemma' }");
  script.Take("delta { text: 'Hel' }");
  script.Take("delta { text: 'lo' }");
  script.Take("end { finish_reason: LENGTH usage { prompt_tokens: 2 completion_tokens: 2 } }");
  const Json answer = script.answer().Whole();
  EXPECT_EQ(answer["object"], "text_completion");
  EXPECT_EQ(answer["model"], "gemma");
  EXPECT_EQ(AnyOrder(answer["choices"]),
            AnyOrder::parse(R"([{"index": 0, "text": "Hello", "logprobs": null,
                                                "finish_reason": "length"}])"));
  EXPECT_EQ(answer["usage"]["total_tokens"], 4);
}

TEST(CompletionAnswerTest, TheEndOfEachOfSeveralCompletionsIsItsOwn) {
  Script<CompletionAnswer> script(kStream, 2);
  EXPECT_EQ(script.Take("delta { index: 1 text: 'b' }")[0]["choices"][0]["text"], "b");
  const Json end = script.Take("sequence_end { index: 1 finish_reason: STOP }");
  EXPECT_EQ(end[0]["choices"][0]["index"], 1);
  EXPECT_EQ(end[0]["choices"][0]["finish_reason"], "stop");
  EXPECT_TRUE(script.Take("end { finish_reason: STOP }").empty());
}

TEST(CompletionAnswerTest, LogprobsAreParallelArraysWithOffsetsInCharacters) {
  Script<CompletionAnswer> script({.logprobs = true}, 1);
  script.Take("delta { logprobs { token_id: 7 logprob: -1 } }");
  script.Take("delta { logprobs { token_id: 1 logprob: -2 top { token_id: 7 logprob: -3 } } }");
  script.Take("end {}");
  EXPECT_EQ(AnyOrder(script.answer().Whole()["choices"][0]["logprobs"]),
            AnyOrder::parse(R"({"tokens": ["café", "t"], "token_logprobs": [-1.0, -2.0],
                            "text_offset": [0, 4], "top_logprobs": [{}, {"café": -3.0}]})"));
}

}  // namespace
}  // namespace facet
