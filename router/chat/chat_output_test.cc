#include "router/chat/chat_output.h"

#include <map>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router/testing/test_model.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Call {
  std::string id, name, arguments;
  int deltas = 0;
};

// What one completion adds up to.
struct Whole {
  std::string reasoning, content;
  std::map<int, Call> calls;
  std::vector<int32_t> tokens;
  int logprobs = 0;
  v1::ChatSequenceEnd end;
};

class ChatOutputTest : public ::testing::Test {
 protected:
  // Ids of an answer as the model writes it, control tokens included.
  std::vector<int32_t> Ids(const std::string& text) {
    const auto ids = model_->tokenizer->Encode(text, {.parse_special = true});
    EXPECT_TRUE(ids.ok()) << ids.status();
    return *ids;
  }
  int32_t Id(const std::string& piece) { return testing::IdOf(*model_, piece); }

  std::unique_ptr<ChatOutput> Make(bool starts_in_thought = false) {
    ChatOutput::Options options;
    options.model = model_.get();
    options.control_tokens = &control_tokens_;
    options.starts_in_thought = starts_in_thought;
    options.start.set_prompt_tokens(7);
    for (const char* end : {"<eos>", "<turn|>", "<|tool_response>"}) {
      spec_.generation.stopping.add_end_token_ids(Id(end));
    }
    return std::make_unique<ChatOutput>(std::move(options), spec_);
  }

  static CallOutput::Tokens Tokens(const std::vector<int32_t>& ids, size_t begin, size_t end) {
    CallOutput::Tokens tokens;
    for (size_t i = begin; i < end; ++i) tokens.Add()->set_token_id(ids[i]);
    return tokens;
  }

  // Everything that is read, by completion; never an empty delta.
  static std::map<int, Whole> ReadAll(ChatOutput& output) {
    std::map<int, Whole> all;
    v1::ChatResponse message;
    while (output.Take(&message)) Add(message, &all);
    return all;
  }
  static void Add(const v1::ChatResponse& message, std::map<int, Whole>* all) {
    if (message.has_sequence_end()) {
      (*all)[message.sequence_end().index()].end = message.sequence_end();
    }
    if (!message.has_delta()) return;
    const v1::ChatDelta& delta = message.delta();
    Whole& whole = (*all)[delta.index()];
    EXPECT_GT(delta.reasoning().size() + delta.content().size() +
                  static_cast<size_t>(delta.tool_calls_size() + delta.token_ids_size()),
              0u);
    whole.reasoning += delta.reasoning();
    whole.content += delta.content();
    whole.logprobs += delta.logprobs_size();
    whole.tokens.insert(whole.tokens.end(), delta.token_ids().begin(), delta.token_ids().end());
    for (const v1::ToolCallDelta& part : delta.tool_calls()) {
      Call& call = whole.calls[part.index()];
      ++call.deltas;
      if (call.deltas == 1) {
        EXPECT_FALSE(part.id().empty());
        call.id = part.id();
        call.name = part.name();
      } else {
        EXPECT_TRUE(part.id().empty() && part.name().empty());
      }
      call.arguments += part.arguments();
    }
  }

  // One completion, its tokens all at once.
  Whole Answer(const std::string& text, v1::FinishReason reason = v1::STOP,
               bool starts_in_thought = false) {
    const auto output = Make(starts_in_thought);
    output->Started(0);
    const std::vector<int32_t> ids = Ids(text);
    if (!output->Push(0, Tokens(ids, 0, ids.size()))) output->End(0, reason);
    return ReadAll(*output)[0];
  }

  std::unique_ptr<ServedModel> model_ = testing::MakeTestModel();
  ControlTokens control_tokens_{*model_->tokenizer};
  ChatSpec spec_;
};

struct Case {
  const char* name;
  const char* written;
  bool starts_in_thought;
  v1::FinishReason said;  // by the group
  const char* reasoning;
  const char* content;
  std::vector<std::pair<std::string, std::string>> calls;
  v1::FinishReason finish;
};

class ChatAnswerTest : public ChatOutputTest, public ::testing::WithParamInterface<Case> {};

TEST_P(ChatAnswerTest, IsTakenApart) {
  const Case& c = GetParam();
  const Whole whole = Answer(c.written, c.said, c.starts_in_thought);
  EXPECT_EQ(whole.reasoning, c.reasoning);
  EXPECT_EQ(whole.content, c.content);
  std::vector<std::pair<std::string, std::string>> calls;
  for (const auto& [index, call] : whole.calls) calls.emplace_back(call.name, call.arguments);
  EXPECT_EQ(calls, c.calls);
  EXPECT_EQ(whole.end.finish_reason(), c.finish);
  EXPECT_EQ(whole.end.completion_tokens(), static_cast<int>(whole.tokens.size()));
}

const Case kCases[] = {
    // P9: the end token is never text.
    {"NoMarkerAtTheEnd", "Hello there.<turn|>", false, v1::STOP, "", "Hello there.", {}, v1::STOP},
    // P10
    {"ThoughtThenAnswer",
     "<|channel>thought\nA<channel|>B<turn|>",
     false,
     v1::STOP,
     "A",
     "B",
     {},
     v1::STOP},
    // P11
    {"NoChannelIsContent", "42<turn|>", false, v1::STOP, "", "42", {}, v1::STOP},
    // P12
    {"ThoughtCutByLength",
     "<|channel>thought\nunfinished",
     false,
     v1::LENGTH,
     "unfinished",
     "",
     {},
     v1::LENGTH},
    // P14
    {"OpenThoughtOfThePrompt",
     "still thinking<channel|>Done<turn|>",
     true,
     v1::STOP,
     "still thinking",
     "Done",
     {},
     v1::STOP},
    {"CallsEndTheTurn",
     "<|channel>thought\nt<channel|>ok <|tool_call>call:a{}<tool_call|><|tool_call>call:b{k:1}"
     "<tool_call|><|tool_response>",
     false,
     v1::STOP,
     "t",
     "ok",
     {{"a", "{}"}, {"b", "{\"k\":1}"}},
     v1::TOOL_CALL},
    // P8: prose is never a tool call.
    {"ProseIsNoCall", "call:a{}<turn|>", false, v1::STOP, "", "call:a{}", {}, v1::STOP},
    // P16
    {"ABrokenCallIsContent",
     "<|tool_call>call:a{k:<tool_call|><turn|>",
     false,
     v1::STOP,
     "",
     "call:a{k:",
     {},
     v1::STOP},
    {"ACallCutByLengthIsNone",
     "x<|tool_call>call:a{k:",
     false,
     v1::LENGTH,
     "",
     "x",
     {},
     v1::LENGTH},
    {"ACallBeforeTheLimitKeepsTheReason",
     "<|tool_call>call:a{}<tool_call|>more",
     false,
     v1::LENGTH,
     "",
     "more",
     {{"a", "{}"}},
     v1::LENGTH},
};

INSTANTIATE_TEST_SUITE_P(Rows, ChatAnswerTest, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

// P4
TEST_F(ChatOutputTest, StreamedAndWholeAddUpToTheSame) {
  const std::string written =
      "<|channel>thought\nLet me see: \xF0\x9F\x98\x8A<channel|>I look it up. "
      "<|tool_call>call:a{text:<|\"|>x, {y} \xC3\xA9<|\"|>,n:[1,2.50]}<tool_call|>"
      "<|tool_call>call:b{k:true}<tool_call|><|tool_call>call:c{}<tool_call|><|tool_response>";
  const Whole whole = Answer(written);
  ASSERT_EQ(whole.calls.size(), 3u);
  const std::vector<int32_t> ids = Ids(written);
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    const auto output = Make();
    output->Started(0);
    std::map<int, Whole> all;
    v1::ChatResponse message;
    for (size_t begin = 0; begin < ids.size();) {
      const size_t end = std::min(ids.size(), begin + 1 + random() % 9);
      output->Push(0, Tokens(ids, begin, end));
      begin = end;
      while (random() % 2 == 0 && output->Take(&message)) Add(message, &all);
    }
    ASSERT_TRUE(output->ended(0));
    while (output->Take(&message)) Add(message, &all);
    const Whole& streamed = all[0];
    EXPECT_EQ(streamed.reasoning, whole.reasoning);
    EXPECT_EQ(streamed.content, whole.content);
    EXPECT_EQ(streamed.tokens, whole.tokens);
    ASSERT_EQ(streamed.calls.size(), 3u);
    for (const auto& [index, call] : whole.calls) {
      EXPECT_EQ(streamed.calls.at(index).name, call.name);
      EXPECT_EQ(streamed.calls.at(index).arguments, call.arguments);
      EXPECT_NE(streamed.calls.at(index).id, call.id);
    }
  }
}

TEST_F(ChatOutputTest, StopStringsAreLookedForInTheContentAlone) {
  spec_.generation.stop = {"END"};
  const Whole whole = Answer(
      "<|channel>thought\nEND?<channel|>say <|tool_call>call:a{k:<|\"|>END<|\"|>}<tool_call|>"
      "it END of it<turn|>");
  EXPECT_EQ(whole.reasoning, "END?");
  EXPECT_EQ(whole.content, "say it");
  EXPECT_EQ(whole.calls.at(0).arguments, "{\"k\":\"END\"}");
  EXPECT_EQ(whole.end.finish_reason(), v1::STOP_SEQUENCE);
  EXPECT_EQ(whole.end.matched_stop(), "END");
}

TEST_F(ChatOutputTest, StopStringsCountFromTheTokenBehindMinTokensOn) {
  spec_.generation.stop = {"a"};
  const std::vector<int32_t> ids = Ids("a\na\na");
  for (const int min_tokens : {0, 1, 2, 4}) {
    spec_.generation.stopping.set_min_tokens(min_tokens);
    const auto output = Make();
    output->Started(0);
    ASSERT_TRUE(output->Push(0, Tokens(ids, 0, ids.size())));
    const int next = min_tokens + 1 + min_tokens % 2;  // odd tokens are the letter
    EXPECT_EQ(ReadAll(*output)[0].end.completion_tokens(), next) << min_tokens;
  }
}

TEST_F(ChatOutputTest, AStopTokenOfTheCallerIsNoText) {
  const std::vector<int32_t> ids = Ids("xa");
  spec_.generation.stopping.add_stop_token_ids(ids.back());
  const Whole whole = Answer("xa");
  EXPECT_EQ(whole.content, model_->tokenizer->Decode({ids.data(), ids.size() - 1}, true));
  EXPECT_EQ(whole.tokens, ids);
  EXPECT_EQ(whole.end.finish_reason(), v1::STOP);
}

TEST_F(ChatOutputTest, IgnoredEndTokensEndNothing) {
  spec_.generation.stopping.set_ignore_eos(true);
  const Whole whole = Answer("a<turn|>b<eos>c", v1::LENGTH);
  EXPECT_EQ(whole.content, "abc");
  EXPECT_EQ(whole.tokens.size(), Ids("a<turn|>b<eos>c").size());
  EXPECT_EQ(whole.end.finish_reason(), v1::LENGTH);
}

TEST_F(ChatOutputTest, WithoutParallelCallsTheFirstOneEndsTheAnswer) {
  spec_.parallel_tool_calls = false;
  const std::string first = "ok <|tool_call>call:a{k:1}<tool_call|>";
  const Whole whole = Answer(first + "<|tool_call>call:b{}<tool_call|><turn|>");
  EXPECT_EQ(whole.calls.size(), 1u);
  EXPECT_EQ(whole.content, "ok");
  EXPECT_EQ(whole.tokens, Ids(first));
  EXPECT_EQ(whole.end.finish_reason(), v1::TOOL_CALL);
}

TEST_F(ChatOutputTest, ArgumentsAreOfTheTypesThatTheToolDeclares) {
  Tool tool;
  tool.name = "f";
  tool.parameters = OrderedJson::parse(
      R"({"type":"object","properties":{"n":{"type":"integer"},"s":{"type":"string"}}})");
  spec_.conversation.tools = {tool};
  const Whole whole = Answer("<|tool_call>call:f{n:<|\"|>7<|\"|>,s:7}<tool_call|><turn|>");
  EXPECT_EQ(whole.calls.at(0).arguments, R"({"n":7,"s":"7"})");
}

TEST_F(ChatOutputTest, TheStartSaysWhatCallsAreNotHeldTo) {
  const auto output = Make();
  CallOutput::NotEnforced not_enforced;
  *not_enforced.Add() = "f: /properties/a/not: this keyword is not supported";
  output->Started(0, not_enforced);
  v1::ChatResponse message;
  ASSERT_TRUE(output->Take(&message));
  ASSERT_EQ(message.start().not_enforced_size(), 1);
  EXPECT_EQ(message.start().not_enforced(0), not_enforced[0]);
}

TEST_F(ChatOutputTest, CompletionsAreParsedEachByItself) {
  spec_.generation.n = 2;
  spec_.generation.logprobs = 0;
  const auto output = Make();
  output->Started(3);
  const std::vector<int32_t> a = Ids("<|channel>thought\nA<channel|>B<turn|>");
  const std::vector<int32_t> b = Ids("<|tool_call>call:f{}<tool_call|><turn|>");
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i < a.size()) output->Push(0, Tokens(a, i, i + 1));
    if (i < b.size()) output->Push(1, Tokens(b, i, i + 1));
  }
  ASSERT_TRUE(output->all_ended());
  output->Close(v1::Timings());
  EXPECT_EQ(output->tool_calls(), 1);
  std::map<int, Whole> all;
  v1::ChatResponse message, last;
  std::vector<v1::ChatResponse::EventCase> events;
  while (output->Take(&message)) {
    Add(message, &all);
    last = message;
    events.push_back(message.event_case());
  }
  EXPECT_EQ(events.front(), v1::ChatResponse::kStart);
  EXPECT_EQ(events.back(), v1::ChatResponse::kEnd);
  EXPECT_EQ(all[0].reasoning, "A");
  EXPECT_EQ(all[0].content, "B");
  EXPECT_THAT(all[0].calls, IsEmpty());
  EXPECT_EQ(all[1].calls.at(0).name, "f");
  EXPECT_EQ(all[0].end.finish_reason(), v1::STOP);
  EXPECT_EQ(all[1].end.finish_reason(), v1::TOOL_CALL);
  EXPECT_EQ(all[0].logprobs, static_cast<int>(a.size()));
  // From the opening of the thought to its end.
  const int thought = static_cast<int>(Ids("<|channel>thought\nA<channel|>").size());
  EXPECT_EQ(all[0].end.reasoning_tokens(), thought);
  EXPECT_EQ(last.end().usage().reasoning_tokens(), thought);
  EXPECT_EQ(last.end().usage().completion_tokens(), static_cast<int>(a.size() + b.size()));
  EXPECT_EQ(last.end().usage().cached_tokens(), 3);
}

TEST_F(ChatOutputTest, BrokenCallsAreCounted) {
  const auto output = Make();
  output->Started(0);
  const std::vector<int32_t> ids = Ids("<|tool_call>nothing<tool_call|><turn|>");
  output->Push(0, Tokens(ids, 0, ids.size()));
  EXPECT_EQ(output->broken_tool_calls(), 1);
  EXPECT_EQ(output->tool_calls(), 0);
}

}  // namespace
}  // namespace facet
