#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "shard/grammar/apply_mask.h"
#include "shard/grammar/grammar_compiler.h"
#include "shard/grammar/grammar_matcher.h"
#include "shard/grammar/testing/sampling_model.h"
#include "shard/grammar/thought_gate.h"

namespace facet {
namespace {

using ::facet::testing::Answer;
using ::facet::testing::Habit;
using ::facet::testing::IsOk;
using ::facet::testing::SmallId;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;
using Kind = GrammarSpec::Kind;
using Choice = GrammarSpec::ToolChoice;

std::unique_ptr<GrammarCompiler> NewCompiler(const GrammarCompilerOptions& options = {}) {
  return GrammarCompiler::Create(testing::SmallVocabulary(), options).value();
}

GrammarSpec Tools(Choice choice, bool parallel = true) {
  return {.kind = Kind::kToolCalls,
          .tools = {{"get", R"({"type":"object","properties":{"b":{"type":"integer"},
                     "a":{"type":"string"}},"required":["a"]})"},
                    {"now", ""}},
          .tool_choice = choice,
          .tool_name = "get",
          .parallel_tool_calls = parallel};
}

// Ids of a text in which control tokens stand by name.
std::vector<int32_t> Ids(absl::string_view text) {
  std::vector<int32_t> ids;
  while (!text.empty()) {
    size_t size = 1;
    for (const char* name : {"<eos>", "<turn|>", "<|tool_response>", "<|tool_call>", "<tool_call|>",
                             "<|\"|>", "<|channel>", "<channel|>"}) {
      if (absl::StartsWith(text, name)) size = std::string(name).size();
    }
    ids.push_back(SmallId(std::string(text.substr(0, size))));
    text.remove_prefix(size);
  }
  return ids;
}

template <typename Matcher>
std::vector<uint32_t> MaskOf(Matcher& matcher) {
  std::vector<uint32_t> mask(MaskWords(testing::SmallVocabulary().pieces.size()));
  EXPECT_THAT(matcher.FillMask(absl::MakeSpan(mask)), IsOk());
  return mask;
}

template <typename Matcher>
bool Allows(Matcher& matcher, const std::string& token) {
  const int32_t id = SmallId(token);
  return (MaskOf(matcher)[id / 32] >> (id % 32) & 1) != 0;
}

// Whether the masks let a text through, token by token, and its end with it.
template <typename Matcher>
bool Takes(Matcher& matcher, absl::string_view text) {
  for (const int32_t id : Ids(text)) {
    const bool allowed = (MaskOf(matcher)[id / 32] >> (id % 32) & 1) != 0;
    if (allowed != matcher.Accept(id).ok()) ADD_FAILURE() << "mask and Accept differ: " << text;
    if (!allowed) return false;
  }
  return true;
}

struct TextCase {
  const char* name;
  GrammarSpec spec;
  std::vector<const char*> good, bad;
};

class GrammarTextTest : public ::testing::TestWithParam<TextCase> {};

TEST_P(GrammarTextTest, LetsThroughWhatItShouldAndNothingElse) {
  const auto grammar = NewCompiler()->Compile(GetParam().spec);
  ASSERT_THAT(grammar, IsOk());
  for (const char* text : GetParam().good) {
    GrammarMatcher matcher(*grammar);
    EXPECT_TRUE(Takes(matcher, text)) << text;
    EXPECT_TRUE(matcher.IsTerminated()) << text;
  }
  for (const char* text : GetParam().bad) {
    GrammarMatcher matcher(*grammar);
    EXPECT_FALSE(Takes(matcher, text)) << text;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, GrammarTextTest,
    ::testing::Values(
        TextCase{"JsonObject",
                 {.kind = Kind::kJsonObject},
                 {"{}<turn|>", "{ \"a\": [1, -2.5e3, \"\\u00e9\\\"\", null, {\"b\":true}]}<eos>"},
                 {"[]<eos>", "{<eos>", "{}{", "{\"a\":01", "{\"a\":\"\n", "{}\n\n<eos>",
                  "{\"a\":\"\\ud800", "{}<|tool_response>", "<|tool_call>"}},
        TextCase{"Regex",
                 {.kind = Kind::kRegex, .text = "[ab]{2}|c?"},
                 {"ab<eos>", "c<turn|>", "<eos>"},
                 {"a<eos>", "abb", "d", "cc"}},
        TextCase{"Ebnf",
                 {.kind = Kind::kEbnf, .text = "root ::= item (\",\" item)*\nitem ::= [0-9]+"},
                 {"1,22<eos>"},
                 {"1,<eos>", ","}},
        TextCase{
            "AutoTools",
            Tools(Choice::kAuto),
            {"Hi there.<turn|>",
             "Wait.<|tool_call>call:get{a:<|\"|>x, {y}<|\"|>,b:-3}<tool_call|><|tool_response>",
             "<|tool_call>call:now{}<tool_call|><|tool_call>call:now{k:[1,<|\"|><|\"|>]}"
             "<tool_call|><|tool_response>"},
            {"Hi<|tool_response>", "<|tool_call>call:now{}<tool_call|><eos>",
             "<|tool_call>call:now{}<tool_call|>more", "<|tool_call>call:later",
             "<|tool_call>call:get{}", "<|tool_call>call:get{a:x",
             "<|tool_call>call:get{a:<|\"|>x<|\"|>,b:<|\"|>", "<|tool_call>call:get{b:1",
             "<tool_call|>"}},
        TextCase{"RequiredTools",
                 Tools(Choice::kRequired),
                 {"<|tool_call>call:get{a:<|\"|><|\"|>}<tool_call|><|tool_call>call:now{}"
                  "<tool_call|><|tool_response>"},
                 {"I would call", "<turn|>", "<eos>", " "}},
        TextCase{"RequiredOnce",
                 Tools(Choice::kRequired, false),
                 {"<|tool_call>call:now{}<tool_call|><|tool_response>"},
                 {"<|tool_call>call:now{}<tool_call|><|tool_call>"}},
        TextCase{"NamedTool",
                 Tools(Choice::kNamed),
                 {"<|tool_call>call:get{a:<|\"|>x<|\"|>}<tool_call|><|tool_response>"},
                 {"<|tool_call>call:now", "x"}},
        TextCase{"NamedToolWithoutParameters",
                 {.kind = Kind::kToolCalls,
                  .tools = {{"now", R"({"type":"object","properties":{},"required":[],
                                        "additionalProperties":false})"}},
                  .tool_choice = Choice::kNamed,
                  .tool_name = "now"},
                 {"<|tool_call>call:now{}<tool_call|><|tool_response>"},
                 {"<|tool_call>call:now{ ", "<|tool_call>call:now{a", "<|tool_call>call:now\n"}},
        TextCase{"NamedToolWithAnEmptySchema",
                 {.kind = Kind::kToolCalls,
                  .tools = {{"now", "{}"}},
                  .tool_choice = Choice::kNamed,
                  .tool_name = "now"},
                 {"<|tool_call>call:now{}<tool_call|><|tool_response>",
                  "<|tool_call>call:now{a:[1]}<tool_call|><|tool_response>"},
                 {"<|tool_call>call:now[", "<|tool_call>call:now1"}},
        TextCase{"LengthsCountCharactersAndNotBytes",
                 {.kind = Kind::kJsonSchema, .text = R"({"type":"string","maxLength":3})"},
                 {"\"日本語\"<eos>", "\"😀é\\u00e9\"<eos>", "\"\"<eos>"},
                 {"\"日本語x", "\"日本語\\", "\"\xE6\x97\"", "\"abcd"}},
        TextCase{"NoTools", Tools(Choice::kNone), {"call:get{} {}<turn|>"}, {"<|tool_call>"}}),
    [](const auto& info) { return std::string(info.param.name); });

std::string Again(absl::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) absl::StrAppend(&all, text);
  return all;
}

struct BadSpecCase {
  const char* name;
  GrammarSpec spec;
  const char* message;
};

class BadSpecTest : public ::testing::TestWithParam<BadSpecCase> {};

TEST_P(BadSpecTest, IsRefusedAndTheCompilerGoesOn) {
  auto compiler = NewCompiler();
  EXPECT_THAT(compiler->Compile(GetParam().spec),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
  EXPECT_THAT(compiler->Compile({.kind = Kind::kJsonObject}), IsOk());
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadSpecTest,
    ::testing::Values(
        BadSpecCase{"UndefinedRule", {.kind = Kind::kEbnf, .text = "root ::= other"}, "other"},
        BadSpecCase{"NoRoot", {.kind = Kind::kEbnf, .text = "a ::= \"x\""}, "root"},
        BadSpecCase{"NoRules", {.kind = Kind::kEbnf, .text = ""}, "grammar"},
        BadSpecCase{"Nonsense", {.kind = Kind::kEbnf, .text = "root ::= |:= $"}, "grammar"},
        BadSpecCase{"HugeRegex",
                    {.kind = Kind::kRegex, .text = "((a{99}){99}|[^\\d]{9}){99}"},
                    "repetitions too large"},
        BadSpecCase{"DeepRegex", {.kind = Kind::kRegex, .text = std::string(99, '(')}, "too deep"},
        BadSpecCase{"ManyTools",
                    {.kind = Kind::kToolCalls, .tools = std::vector<ToolSpec>(129)},
                    "129 tools"},
        BadSpecCase{"HugeSchema",
                    {.kind = Kind::kJsonSchema,
                     .text = absl::StrCat(R"({"type":"array","prefixItems":[{"type":"string"})",
                                          Again(R"(,{"type":"string"})", 3000), "]}")},
                    "/prefixItems: more than 1000"},
        BadSpecCase{"ManyMerges",
                    {.kind = Kind::kJsonSchema,
                     .text = absl::StrCat(
                         R"({"type":"object","allOf":[{})",
                         Again(R"(,{"anyOf":[{"required":["a"]},{"required":["b"]}]})", 40), "]}")},
                    "schemas to merge"},
        BadSpecCase{"EndlessLoop", {.kind = Kind::kEbnf, .text = "root ::= \"a\" root"}, "finite"},
        BadSpecCase{"Regex", {.kind = Kind::kRegex, .text = "a("}, "pattern: missing )"},
        BadSpecCase{"Schema", {.kind = Kind::kJsonSchema, .text = R"({"not":{}})"}, "/not: "},
        BadSpecCase{"ToolSchema",
                    {.kind = Kind::kToolCalls,
                     .tools = {{"f", R"({"type":"object","properties":{"a":{"not":{}}}})"}}},
                    "parameters of tool f: /properties/a/not: "},
        BadSpecCase{
            "ToolName", {.kind = Kind::kToolCalls, .tools = {{"a b", ""}}}, "name of tool 0"},
        BadSpecCase{"TwoAlike",
                    {.kind = Kind::kToolCalls, .tools = {{"f", ""}, {"f", ""}}},
                    "two tools are named f"},
        BadSpecCase{"NoSuchTool",
                    {.kind = Kind::kToolCalls,
                     .tools = {{"f", ""}},
                     .tool_choice = Choice::kNamed,
                     .tool_name = "g"},
                    "names g"},
        BadSpecCase{"NoToolAtAll", {.kind = Kind::kToolCalls}, "0 tools"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(GrammarCompilerTest, AVocabularyIsNeeded) {
  EXPECT_THAT(GrammarCompiler::Create({}, {}), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(GrammarVocabulary::FromTokenizer(nullptr, {1}, 100),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("tokenizer.json")));
}

TEST(GrammarCompilerTest, TheSameSpecIsCompiledOnceAndTheCacheKeepsItsBound) {
  auto compiler = NewCompiler();
  const GrammarSpec spec = {.kind = Kind::kRegex, .text = "a{3}"};
  const auto first = compiler->Compile(spec);
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(*first, *compiler->Compile(spec));
  EXPECT_EQ(compiler->cache_hits(), 1);
  auto small = NewCompiler({.cache_bytes = 2 * (*first)->bytes()});
  for (const char* text : {"a{3}", "b{3}", "c{3}", "d{3}", "a{3}"}) {
    EXPECT_THAT(small->Compile({.kind = Kind::kRegex, .text = text}), IsOk());
    EXPECT_LE(small->cached_bytes(), 2 * (*first)->bytes());
  }
  EXPECT_EQ(small->cache_hits(), 0);
}

TEST(GrammarCompilerTest, TooLargeAGrammarIsRefused) {
  EXPECT_THAT(NewCompiler({.max_grammar_bytes = 10})->Compile({.kind = Kind::kJsonObject}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("the limit is 10")));
}

TEST(GrammarMatcherTest, ARejectedTokenChangesNothing) {
  GrammarMatcher matcher(NewCompiler()->Compile({.kind = Kind::kRegex, .text = "ab"}).value());
  ASSERT_THAT(matcher.Accept(SmallId("a")), IsOk());
  const auto before = MaskOf(matcher);
  for (const int32_t id : {-1, 1 << 20, SmallId("a"), SmallId("<eos>"), SmallId("<|channel>")}) {
    EXPECT_THAT(matcher.Accept(id), StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_EQ(MaskOf(matcher), before);
  EXPECT_EQ(matcher.accepted(), 1);
  EXPECT_FALSE(matcher.IsComplete());
}

// At any point of any answer: what a clone does is its own, and what is rolled back never was.
TEST(GrammarMatcherTest, RollbackAndClonesRestoreEveryMask) {
  const auto grammar = NewCompiler()->Compile(Tools(Choice::kAuto)).value();
  std::mt19937 rng(5);
  for (int round = 0; round < 20; ++round) {
    GrammarMatcher matcher(grammar);
    std::vector<std::vector<uint32_t>> masks = {MaskOf(matcher)};
    for (int step = 0; step < 60 && !matcher.IsTerminated(); ++step) {
      std::vector<int32_t> allowed;
      for (int32_t id = 0; id < grammar->mask_ids(); ++id) {
        if (masks.back()[id / 32] >> (id % 32) & 1) allowed.push_back(id);
      }
      ASSERT_FALSE(allowed.empty());
      GrammarMatcher clone = matcher.Clone();
      ASSERT_THAT(clone.Accept(allowed[rng() % allowed.size()]), IsOk());
      EXPECT_EQ(MaskOf(matcher), masks.back());
      // Rare tokens often: calls and ends.
      const int32_t id = rng() % 2 ? allowed[0] : allowed[rng() % allowed.size()];
      ASSERT_THAT(matcher.Accept(id), IsOk());
      masks.push_back(MaskOf(matcher));
      if (rng() % 3 == 0) {
        const int back = static_cast<int>(rng() % masks.size());
        ASSERT_THAT(matcher.Rollback(back), IsOk());
        masks.resize(masks.size() - back);
        ASSERT_EQ(MaskOf(matcher), masks.back());
      }
    }
  }
  GrammarMatcher matcher(grammar);
  EXPECT_THAT(matcher.Rollback(1), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(matcher.Rollback(-1), StatusIs(absl::StatusCode::kInvalidArgument));
}

// Each bracket makes a state of its own: more than a cache of states holds.
TEST(GrammarMatcherTest, AnAnswerGoesOnWhenTheCacheOfStatesIsFull) {
  const auto grammar =
      NewCompiler()
          ->Compile(
              {.kind = Kind::kEbnf, .text = "root ::= \"(\" root \")\" | \"[\" root \"]\" | \"x\""})
          .value();
  GrammarMatcher matcher(grammar);
  std::vector<const char*> closing;
  size_t most = 0;
  for (int i = 0; i < 120'000; ++i) {
    const bool round = i % 3 == 0;
    ASSERT_THAT(matcher.Accept(SmallId(round ? "(" : "[")), IsOk()) << i;
    closing.push_back(round ? ")" : "]");
    most = std::max(most, grammar->bytes());
  }
  EXPECT_GT(most, size_t{14} << 20);
  EXPECT_LT(most, size_t{34} << 20);
  ASSERT_THAT(matcher.Accept(SmallId("x")), IsOk());
  for (int i = 0; i < 1000; ++i, closing.pop_back()) {
    EXPECT_FALSE(matcher.Accept(SmallId(closing.back()[0] == ')' ? "]" : ")")).ok());
    ASSERT_THAT(matcher.Accept(SmallId(closing.back())), IsOk());
  }
}

TEST(ThoughtGateTest, TheGrammarBeginsAfterTheThought) {
  const auto grammar = NewCompiler()->Compile({.kind = Kind::kJsonObject}).value();
  ThoughtGate gate(GrammarMatcher(grammar), ThoughtGate::Start::kMayThink);
  EXPECT_TRUE(Allows(gate, "<|channel>"));
  EXPECT_FALSE(Allows(gate, "x"));
  EXPECT_TRUE(Takes(gate, "<|channel>thought\nIs it {?"));
  EXPECT_TRUE(gate.InThought());
  for (const char* token : {"<eos>", "<turn|>", "<|tool_response>", "<|tool_call>", "<|channel>"}) {
    EXPECT_FALSE(Allows(gate, token)) << token;
  }
  EXPECT_TRUE(Takes(gate, "<channel|>"));
  EXPECT_FALSE(Allows(gate, "<|channel>"));
  EXPECT_FALSE(Allows(gate, "x"));
  EXPECT_TRUE(Takes(gate, "{}<turn|>"));
  EXPECT_TRUE(gate.IsTerminated());
  // Back into the answer, over the thought's end, and to the start.
  ASSERT_THAT(gate.Rollback(2), IsOk());
  EXPECT_TRUE(Allows(gate, "}"));
  ASSERT_THAT(gate.Rollback(2), IsOk());
  EXPECT_TRUE(gate.InThought());
  ThoughtGate clone = gate.Clone();
  EXPECT_TRUE(Takes(clone, "more<channel|>{"));
  EXPECT_TRUE(gate.InThought());
  ASSERT_THAT(gate.Rollback(gate.accepted()), IsOk());
  EXPECT_TRUE(Takes(gate, "{}<eos>"));
}

TEST(ThoughtGateTest, APromptMayEndInsideTheThoughtOrForbidIt) {
  const auto grammar = NewCompiler()->Compile(Tools(Choice::kRequired)).value();
  ThoughtGate inside(GrammarMatcher(grammar), ThoughtGate::Start::kInThought);
  EXPECT_FALSE(inside.IsComplete());
  EXPECT_TRUE(Takes(inside, "hm<channel|><|tool_call>call:now{}<tool_call|><|tool_response>"));
  ThoughtGate none(GrammarMatcher(grammar), ThoughtGate::Start::kAnswer);
  EXPECT_FALSE(Allows(none, "<|channel>"));
}

// A model that loves line breaks (and others) under a plain JSON answer: it ends, and it parses.
TEST(SamplingTest, EveryHabitEndsInAnObject) {
  const auto grammar = NewCompiler()->Compile({.kind = Kind::kJsonObject}).value();
  std::mt19937 rng(6);
  for (const Habit habit : testing::kHabits) {
    for (int i = 0; i < 20; ++i) {
      const auto answer = testing::Write(grammar, habit, habit != Habit::kLineBreaks, 3000, rng);
      ASSERT_THAT(answer, IsOk());
      EXPECT_TRUE(answer->ended) << answer->text;
      EXPECT_TRUE(nlohmann::json::accept(answer->text)) << answer->text;
    }
  }
}

}  // namespace
}  // namespace facet
