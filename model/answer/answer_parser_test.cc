#include "model/answer/answer_parser.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/answer/testing/answer_corpus.h"
#include "model/answer/testing/parsed_answer.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

using ::facet::testing::AnswerCorpus;
using ::facet::testing::AnswerIds;
using ::facet::testing::AnswerIdsByCharacter;
using ::facet::testing::ParseAnswer;
using ::facet::testing::ParseAnswerInChunks;
using ::facet::testing::ParsedAnswer;
using ::facet::testing::PlainIds;
using ::facet::testing::SmallControlTokens;
using ::facet::testing::SmallTokenizer;
using ::facet::testing::WithCorpusSchemas;
using ::facet::testing::WithCountedSuffixes;
using End = AnswerParser::End;
using Kind = AnswerEvent::Kind;
using Json = nlohmann::ordered_json;

// "name arguments" of each call.
std::vector<std::string> Calls(const ParsedAnswer& answer) {
  std::vector<std::string> calls;
  for (const WholeAnswer::Call& call : answer.whole.calls) {
    calls.push_back(absl::StrCat(call.name, " ", call.arguments));
  }
  return calls;
}

AnswerOptions WithSchema(const Json* schema) {
  AnswerOptions options;
  options.find_parameters = [schema](absl::string_view) { return schema; };
  return options;
}

AnswerOptions FromReasoning() {
  AnswerOptions options;
  options.starts_in_reasoning = true;
  return options;
}

struct AnswerCase {
  std::string name;
  std::string text;
  std::string reasoning, content;
  std::vector<std::string> calls;
  End end = End::kStop;
  bool starts_in_reasoning = false;
};
class AnswerParserTest : public ::testing::TestWithParam<AnswerCase> {};

TEST_P(AnswerParserTest, TakesTheAnswerApart) {
  const AnswerCase& c = GetParam();
  for (const bool streams_calls : {true, false}) {
    for (const auto& ids : {AnswerIds(c.text), AnswerIdsByCharacter(c.text)}) {
      AnswerOptions options;
      options.starts_in_reasoning = c.starts_in_reasoning;
      options.streams_calls = streams_calls;
      const ParsedAnswer answer = ParseAnswer(ids, c.end, options);
      EXPECT_EQ(answer.whole.reasoning, c.reasoning);
      EXPECT_EQ(answer.whole.content, c.content);
      EXPECT_EQ(Calls(answer), c.calls);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Examples, AnswerParserTest,
    ::testing::ValuesIn(std::vector<AnswerCase>{
        {"content", "Hello there.<turn|>", "", "Hello there.", {}},
        {"thought",
         "<|channel>thought\nLet me see.\nYes.<channel|>The answer.<turn|>",
         "Let me see.\nYes.",
         "The answer.",
         {}},
        {"empty_thought", "<|channel>thought\n<channel|>Hi<turn|>", "", "Hi", {}},
        {"open_thought_in_the_prompt",
         "still thinking<channel|>Done<turn|>",
         "still thinking",
         "Done",
         {},
         End::kStop,
         true},
        {"thought_text_calls",
         "<|channel>thought\nt<channel|>ok <|tool_call>call:a{}<tool_call|>"
         "<|tool_call>call:b{k:1}<tool_call|><|tool_response>",
         "t",
         "ok",
         {"a {}", R"(b {"k":1})"}},
        {"all_kinds_of_values",
         "<|tool_call>call:get{a:<|\"|>x, {y}<|\"|>,b:1.50,c:true,d:null,e:[1,<|\"|>q<|\"|>],"
         "f:{g_h:false}}<tool_call|><|tool_response>",
         "",
         "",
         {R"(get {"a":"x, {y}","b":1.50,"c":true,"d":null,"e":[1,"q"],"f":{"g_h":false}})"}},
        {"text_around_a_call",
         "  before <|tool_call>call:a{}<tool_call|> after <turn|>",
         "",
         "before  after",
         {"a {}"}},
        {"thought_at_the_limit",
         "<|channel>thought\nunfinished",
         "unfinished",
         "",
         {},
         End::kLength},
        {"call_then_eos", "<|tool_call>call:a{}<tool_call|><eos>", "", "", {"a {}"}},
        {"call_inside_a_thought",
         "<|channel>thought\nt<|tool_call>call:a{}<tool_call|>c<turn|>",
         "t",
         "c",
         {"a {}"}},
        {"two_thoughts",
         "<|channel>thought\none<channel|>x<|channel>thought\n two <channel|>y",
         "one two",
         "xy",
         {}},
        {"other_channel", "<|channel>final\nt<channel|>c", "t", "c", {}},
        {"channel_without_newline", "<|channel>thought<channel|>c", "", "c", {}},
        {"half_open_channel", "c<|channel>thou", "", "c", {}},
        {"half_open_channel_at_the_limit", "c<|channel>thou", "", "c", {}, End::kLength},
        {"thought_without_a_name",
         "<|channel>This thought begins without the name of a channel, and goes on for long.\nEnd.",
         "This thought begins without the name of a channel, and goes on for long.\nEnd.",
         "",
         {}},
        {"stray_control_tokens",
         "a<channel|>b<tool_call|>c<|\"|>d<bos><|image|>e",
         "",
         "abcde",
         {}},
        {"call_at_the_limit", "c<|tool_call>call:a{x:<|\"|>y", "", "c", {}, End::kLength},
        {"call_with_all_but_its_close_at_the_limit",
         "<|tool_call>call:a{x:1}",
         "",
         "",
         {},
         End::kLength},
        {"call_cut_by_the_end_of_the_turn",
         "c <|tool_call>call:a{x:<|\"|>y<turn|>",
         "",
         "c call:a{x:\"y",
         {}},
        {"broken_call_then_a_sound_one",
         "<|tool_call>call:a{x:[1}<tool_call|><|tool_call>call:b{}<tool_call|>",
         "",
         "call:a{x:[1}",
         {"b {}"}},
        {"unclosed_call_then_a_sound_one",
         "<|tool_call>call:a{x:1<|tool_call>call:b{}<tool_call|>",
         "",
         "call:a{x:1",
         {"b {}"}},
        {"broken_call_then_a_thought",
         "<|tool_call>call:a{x:]<|channel>thought\nhm<channel|>c",
         "hm",
         "call:a{x:]c",
         {}},
        {"nothing", "", "", "", {}},
        {"white_space_only", " \n\n ", "", "", {}},
    }),
    [](const auto& info) { return info.param.name; });

TEST(AnswerParserTest, P1HalfAStringDelimiterNeverReachesTheClient) {
  const ParsedAnswer answer = ParseAnswer(AnswerIdsByCharacter(
      "<|tool_call>call:todo{items:[{content:<|\"|>Demo<|\"|>,priority:<|\"|>medium<|\"|>}]}"
      "<tool_call|>"));
  EXPECT_THAT(Calls(answer),
              ::testing::ElementsAre(R"(todo {"items":[{"content":"Demo","priority":"medium"}]})"));
  for (const AnswerEvent& event : answer.events) EXPECT_FALSE(absl::StrContains(event.text, "<|"));
}

TEST(AnswerParserTest, P2ABooleanSplitOverTwoTokensIsOneBoolean) {
  std::vector<int32_t> ids = AnswerIds("<|tool_call>call:f{");
  for (const char* part : {"search_all:", "tru", "e}"}) {
    for (const int32_t id : PlainIds(part)) ids.push_back(id);
  }
  for (const int32_t id : AnswerIds("<tool_call|>")) ids.push_back(id);
  EXPECT_THAT(Calls(ParseAnswer(ids)), ::testing::ElementsAre(R"(f {"search_all":true})"));
}

TEST(AnswerParserTest, P3TwoCallsInOneDeltaAreTwoCalls) {
  const ParsedAnswer answer =
      ParseAnswer(AnswerIds("<|tool_call>call:a{}<tool_call|><|tool_call>call:b{x:1}<tool_call|>"));
  ASSERT_THAT(Calls(answer), ::testing::ElementsAre("a {}", R"(b {"x":1})"));
  EXPECT_EQ(answer.whole.calls[0].index, 0);
  EXPECT_EQ(answer.whole.calls[1].index, 1);
  EXPECT_EQ(answer.whole.calls[0].id, "call_0");
  EXPECT_EQ(answer.whole.calls[1].id, "call_1");
}

TEST(AnswerParserTest, P4EachOfParallelCallsIsNamedOnceUnderItsOwnIndex) {
  const ParsedAnswer answer = ParseAnswerInChunks(
      AnswerIds("<|tool_call>call:a{x:<|\"|>one<|\"|>}<tool_call|><|tool_call>call:b{y:[2]}"
                "<tool_call|><|tool_call>call:a{}<tool_call|><|tool_response>"),
      std::vector<size_t>(100, 1));
  std::vector<int> begun;
  int open = -1;
  for (const AnswerEvent& event : answer.events) {
    if (event.kind == Kind::kCallBegin) begun.push_back(open = event.call_index);
    EXPECT_EQ(event.call_index, open);
    EXPECT_EQ(event.name.empty(), event.kind != Kind::kCallBegin);
  }
  EXPECT_THAT(begun, ::testing::ElementsAre(0, 1, 2));
  EXPECT_THAT(Calls(answer), ::testing::ElementsAre(R"(a {"x":"one"})", R"(b {"y":[2]})", "a {}"));
}

TEST(AnswerParserTest, P5PunctuationAndMarkersInsideAStringAreText) {
  EXPECT_THAT(Calls(ParseAnswer(AnswerIds("<|tool_call>call:send{arguments:{message:<|\"|>How are "
                                          "you?<|\"|>}}<tool_call|>"))),
              ::testing::ElementsAre(R"(send {"arguments":{"message":"How are you?"}})"));
  std::vector<int32_t> ids = AnswerIds("<|tool_call>call:send{m:<|\"|>");
  for (const int32_t id : PlainIds("} , <tool_call|> <|\"|> <turn|>")) ids.push_back(id);
  for (const int32_t id : AnswerIds("<|\"|>}<tool_call|>")) ids.push_back(id);
  EXPECT_THAT(Calls(ParseAnswer(ids)),
              ::testing::ElementsAre(R"(send {"m":"} , <tool_call|> <|\"|> <turn|>"})"));
}

TEST(AnswerParserTest, P6UnquotedStringsAndListsAreKept) {
  const Json schema = Json::parse(R"({"properties": {"unit": {"type": "string"}}})");
  EXPECT_THAT(Calls(ParseAnswer(AnswerIds("<|tool_call>call:f{tags:[bug,ui]}<tool_call|>"
                                          "<|tool_call>call:f{unit:celsius}<tool_call|>"),
                                End::kStop, WithSchema(&schema))),
              ::testing::ElementsAre(R"(f {"tags":["bug","ui"]})", R"(f {"unit":"celsius"})"));
}

TEST(AnswerParserTest, P7NullAndEnumArgumentsAndSplitLabels) {
  const Json schema = Json::parse(R"({"properties": {
      "a": {"type": "string", "nullable": true}, "kind": {"enum": ["A", "B"]}}})");
  EXPECT_THAT(Calls(ParseAnswer(AnswerIds("<|tool_call>call:f{a:null,kind:A}<tool_call|>"),
                                End::kStop, WithSchema(&schema))),
              ::testing::ElementsAre(R"(f {"a":null,"kind":"A"})"));
  const std::string label = "thought\n";
  for (size_t cut = 0; cut <= label.size(); ++cut) {
    std::vector<int32_t> ids = AnswerIds("<|channel>");
    for (const int32_t id : PlainIds(label.substr(0, cut))) ids.push_back(id);
    for (const int32_t id : PlainIds(label.substr(cut) + "T")) ids.push_back(id);
    for (const int32_t id : AnswerIds("<channel|>C<|tool_response>no more")) ids.push_back(id);
    const ParsedAnswer answer = ParseAnswer(ids);
    EXPECT_EQ(answer.whole.reasoning, "T") << cut;
    EXPECT_EQ(answer.whole.content, "C") << cut;
  }
}

TEST(AnswerParserTest, P8ProseIsNoCall) {
  const ParsedAnswer prose = ParseAnswer(AnswerIds("I would call:f{x:1} now.<turn|>"));
  EXPECT_EQ(prose.whole.content, "I would call:f{x:1} now.");
  EXPECT_TRUE(prose.whole.calls.empty());
  // A broken call does not make the answer one with calls either.
  EXPECT_TRUE(ParseAnswer(AnswerIds("<|tool_call>f{x<tool_call|>")).whole.calls.empty());
}

TEST(AnswerParserTest, P9TheEndOfTheTurnIsNeverShown) {
  for (const bool in_reasoning : {false, true}) {
    AnswerOptions options;
    options.starts_in_reasoning = in_reasoning;
    const ParsedAnswer answer = ParseAnswer(AnswerIds("text<turn|>more"), End::kStop, options);
    EXPECT_EQ(absl::StrCat(answer.whole.reasoning, answer.whole.content), "text");
  }
}

TEST(AnswerParserTest, P10AThoughtWithoutItsNewlinesEndIsSplitByItsTokens) {
  const ParsedAnswer answer = ParseAnswer(AnswerIds("<|channel>thought\nA<channel|>B"));
  EXPECT_EQ(answer.whole.reasoning, "A");
  EXPECT_EQ(answer.whole.content, "B");
}

TEST(AnswerParserTest, P11AnAnswerWithoutAChannelIsContentStreamedOrNot) {
  const std::vector<int32_t> ids = AnswerIds("42<turn|>");
  const ParsedAnswer whole = ParseAnswer(ids);
  EXPECT_EQ(whole.whole.content, "42");
  EXPECT_EQ(whole.whole.reasoning, "");
  EXPECT_EQ(ParseAnswerInChunks(ids, std::vector<size_t>(10, 1)).whole, whole.whole);
}

TEST(AnswerParserTest, P12AThoughtCutByTheLimitIsReasoningAndNoContent) {
  const ParsedAnswer answer = ParseAnswer(AnswerIds("<|channel>thought\nhalf a"), End::kLength);
  EXPECT_EQ(answer.whole.reasoning, "half a");
  EXPECT_EQ(answer.whole.content, "");
  EXPECT_EQ(answer.reasoning_tokens, answer.completion_tokens);
}

TEST(AnswerParserTest, P13NumbersAndBooleansKeepTheirTypesWithAndWithoutASchema) {
  const Json schema = Json::parse(R"({"properties": {
      "count": {"type": "integer"}, "flag": {"type": "boolean"}, "ratio": {"type": "number"},
      "none": {"type": "null"}, "id": {"type": "string"}}})");
  const std::vector<int32_t> ids = AnswerIds(
      "<|tool_call>call:f{count:42,flag:true,ratio:-1.5e3,none:null,id:<|\"|>42<|\"|>}<tool_call|"
      ">");
  for (const AnswerOptions& options : {AnswerOptions(), WithSchema(&schema)}) {
    const ParsedAnswer answer = ParseAnswer(ids, End::kStop, options);
    ASSERT_EQ(answer.whole.calls.size(), 1u);
    const Json arguments = Json::parse(answer.whole.calls[0].arguments);
    EXPECT_EQ(arguments, Json::parse(R"({"count": 42, "flag": true, "ratio": -1500.0,
                                         "none": null, "id": "42"})"));
    EXPECT_TRUE(arguments["count"].is_number_integer());
    EXPECT_TRUE(arguments["ratio"].is_number_float());
  }
}

TEST(AnswerParserTest, P14AfterToolResultsTheOpenThoughtIsReasoningStreamedOrNot) {
  const std::vector<int32_t> ids = AnswerIds("The tool said 15.\n<channel|>It is 15.<turn|>");
  const ParsedAnswer whole = ParseAnswer(ids, End::kStop, FromReasoning());
  EXPECT_EQ(whole.whole.reasoning, "The tool said 15.");
  EXPECT_EQ(whole.whole.content, "It is 15.");
  EXPECT_EQ(ParseAnswerInChunks(ids, std::vector<size_t>(50, 1), End::kStop, FromReasoning()).whole,
            whole.whole);
}

TEST(AnswerParserTest, P15ABudgetThatEndsAtAControlTokenShowsNothingOfIt) {
  for (const char* control : {"<|tool_response>", "<|tool_call>", "<|channel>", "<channel|>",
                              "<turn|>", "<|\"|>", "<|tool_response>"}) {
    const ParsedAnswer answer =
        ParseAnswer(AnswerIds(absl::StrCat("answer", control)), End::kLength);
    EXPECT_EQ(answer.whole.content, "answer") << control;
    EXPECT_EQ(answer.whole.reasoning, "") << control;
  }
}

TEST(AnswerParserTest, P16AMalformedCallIsContentAndCounted) {
  ASSERT_GE(AnswerCorpus().size(), 200u);
  const ParsedAnswer answer =
      ParseAnswer(AnswerIds("Look: <|tool_call>call:a{x:<|\"|>p<|\"|>q}<tool_call|> done<turn|>"));
  EXPECT_EQ(answer.whole.content, R"(Look: call:a{x:"p"q} done)");
  EXPECT_TRUE(answer.whole.calls.empty());
  EXPECT_EQ(answer.broken_calls, 1);
  EXPECT_EQ(answer.withdrawn_calls, 1);
  int broken = 0;
  for (const std::string& text : AnswerCorpus()) {
    const ParsedAnswer each = ParseAnswer(AnswerIds(text), End::kStop, WithCorpusSchemas());
    broken += each.broken_calls;
    for (const WholeAnswer::Call& call : each.whole.calls) {
      EXPECT_TRUE(Json::parse(call.arguments, nullptr, false).is_object()) << text;
    }
    for (const AnswerEvent& event : each.events) {
      EXPECT_FALSE(absl::StrContains(event.text, "<|") || absl::StrContains(event.text, "|>"))
          << text;
    }
  }
  EXPECT_GT(broken, 100);
}

TEST(AnswerParserTest, ACallThatBreaksAfterItsNameIsWithdrawnAndHasNoWholeJson) {
  const std::vector<int32_t> ids =
      AnswerIds("<|tool_call>call:a{x:1,y:]<tool_call|><|tool_call>call:b{}<tool_call|>");
  const ParsedAnswer streamed = ParseAnswer(ids);
  std::string kinds, withdrawn;
  for (const AnswerEvent& event : streamed.events) {
    kinds += absl::StrCat(static_cast<int>(event.kind), ":", event.call_index, " ");
    if (event.kind == Kind::kCallArguments && event.call_index == 0) withdrawn += event.text;
  }
  EXPECT_EQ(kinds, "2:0 3:0 5:0 1:-1 2:1 3:1 4:1 ");
  EXPECT_EQ(withdrawn, R"({"x":1,"y":)");

  AnswerOptions at_once;
  at_once.streams_calls = false;
  const ParsedAnswer held = ParseAnswer(ids, End::kStop, at_once);
  EXPECT_EQ(held.withdrawn_calls, 0);
  EXPECT_EQ(held.broken_calls, 1);
  EXPECT_EQ(held.whole.content, streamed.whole.content);
  ASSERT_EQ(held.whole.calls.size(), 1u);
  EXPECT_EQ(held.whole.calls[0].index, 0);
}

TEST(AnswerParserTest, AnUnfinishedCallAtTheLimitIsCountedApart) {
  const ParsedAnswer answer = ParseAnswer(AnswerIds("<|tool_call>call:a{x:1"), End::kLength);
  EXPECT_EQ(answer.unfinished_calls, 1);
  EXPECT_EQ(answer.broken_calls, 0);
  EXPECT_EQ(answer.withdrawn_calls, 1);
}

TEST(AnswerParserTest, EveryTokenIsCountedOnceWhereItWasWritten) {
  const ParsedAnswer answer = ParseAnswer(AnswerIds(
      "<|channel>\n\xF0\x9F\xA4\x93<channel|>\xF0\x9F\xA4\x93<|tool_call>a{}<tool_call|><turn|>"));
  const int face = static_cast<int>(PlainIds("\xF0\x9F\xA4\x93").size());
  const int newline = static_cast<int>(PlainIds("\n").size());
  const int call = static_cast<int>(PlainIds("a{}").size());
  EXPECT_EQ(answer.reasoning_tokens, 2 + newline + face);
  EXPECT_EQ(answer.content_tokens, face + 1);
  EXPECT_EQ(answer.call_tokens, 2 + call);
  EXPECT_EQ(answer.completion_tokens,
            answer.reasoning_tokens + answer.content_tokens + answer.call_tokens);
}

TEST(AnswerParserTest, TokensBehindTheEndAreNeitherReadNorCounted) {
  AnswerParser parser(&SmallTokenizer(), &SmallControlTokens(), WithCountedSuffixes());
  std::vector<AnswerEvent> events;
  bool ended = false;
  for (const int32_t id : AnswerIds("a<|tool_response>")) ended = parser.Push(id, &events);
  EXPECT_TRUE(ended);
  const int tokens = parser.completion_tokens();
  for (const int32_t id : AnswerIds("b<|tool_call>call:f{}<tool_call|>")) parser.Push(id, &events);
  parser.Finish(End::kLength, &events);
  EXPECT_EQ(AddUp(events).content, "a");
  EXPECT_EQ(parser.completion_tokens(), tokens);
  EXPECT_EQ(parser.calls(), 0);
}

TEST(AnswerParserTest, TellsWhileItIsInAThought) {
  AnswerParser parser(&SmallTokenizer(), &SmallControlTokens(),
                      WithCountedSuffixes(FromReasoning()));
  std::vector<AnswerEvent> events;
  EXPECT_TRUE(parser.in_reasoning());
  for (const int32_t id : AnswerIds("x<channel|>")) parser.Push(id, &events);
  EXPECT_FALSE(parser.in_reasoning());
  for (const int32_t id : AnswerIds("<|channel>")) parser.Push(id, &events);
  EXPECT_TRUE(parser.in_reasoning());
  for (const int32_t id : AnswerIds("<|tool_call>")) parser.Push(id, &events);
  EXPECT_FALSE(parser.in_reasoning());
  EXPECT_TRUE(parser.in_call());
}

TEST(AnswerParserTest, T8ACodePointOverSeveralTokensComesWholeAndAnUnfinishedOneOnce) {
  const std::string coder = "\U0001F469\U0001F3FD\u200D\U0001F4BB";
  std::vector<int32_t> ids;
  for (const char byte : coder) {
    ids.push_back(*SmallTokenizer().TokenToId("<0x00>") + static_cast<uint8_t>(byte));
  }
  const ParsedAnswer answer = ParseAnswerInChunks(ids, std::vector<size_t>(100, 1));
  EXPECT_EQ(answer.whole.content, coder);
  EXPECT_EQ(answer.events.size(), 4u);  // one for each code point, none empty
  for (const End end : {End::kStop, End::kLength}) {
    ids.resize(3);
    EXPECT_EQ(ParseAnswer(ids, end).whole.content, "\uFFFD");
  }
  // In a thought, in a call, and before a control token.
  const int32_t lead = *SmallTokenizer().TokenToId("<0xF0>");
  for (const char* text :
       {"<|channel>\n?<channel|>", "<|tool_call>f{a:<|\"|>?<|\"|>}<tool_call|>"}) {
    std::vector<int32_t> cut = AnswerIds(text);
    for (int32_t& id : cut) {
      if (SmallTokenizer().IdToText(id) == "?") id = lead;
    }
    const WholeAnswer whole = ParseAnswer(cut).whole;
    EXPECT_EQ(whole.calls.empty() ? whole.reasoning : whole.calls[0].arguments,
              whole.calls.empty() ? "\uFFFD" : "{\"a\":\"\uFFFD\"}");
  }
}

// Ends the content before "\n\nQ". Holds all of it until it is certain.
class EndAtQuestion : public ContentFilter {
 public:
  bool Push(absl::string_view content, std::string* released) override {
    held_.append(content.data(), content.size());
    const size_t at = held_.find("\n\nQ");
    if (at == std::string::npos) return false;
    released->append(held_, 0, at);
    return true;
  }
  void Finish(std::string* released) override { *released += held_; }

 private:
  std::string held_;
};

TEST(AnswerParserTest, TheFilterSeesAllContentUntrimmedAndNothingElse) {
  struct Case {
    const char* text;
    const char* content;
    bool stopped;
  };
  const Case cases[] = {
      {"A\n\nQ: more<turn|>", "A", true},
      {"A\n\n<|tool_call>f{a:<|\"|>\n\nQ<|\"|>}<tool_call|>Q: more", "A", true},
      {"<|channel>thought\nt\n\nQ<channel|>A\n\n", "A", false},
      {"<|tool_call>f{a:<|\"|>\n\nQ<tool_call|> more", "f{a:\"", true},  // broken: content
      {" A \n", "A", false},
  };
  for (const Case& c : cases) {
    EndAtQuestion filter;
    AnswerOptions options;
    options.content_filter = &filter;
    const ParsedAnswer answer = ParseAnswer(AnswerIds(c.text), End::kStop, options);
    EXPECT_EQ(answer.whole.content, c.content) << c.text;
    EXPECT_EQ(answer.stopped_by_filter, c.stopped) << c.text;
  }
}

}  // namespace
}  // namespace facet
