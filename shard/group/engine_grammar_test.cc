// Requests with grammars, of a model that knows nothing of them: its likeliest token is always the
// next one of the vocabulary.

#include <memory>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "shard/grammar/grammar_compiler.h"
#include "shard/group/testing/engine_harness.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

constexpr int kEnd = 49;

class EngineGrammarTest : public EngineTest {
 protected:
  void StartWithGrammars(LeaderEngine::Options options = DefaultOptions()) {
    vocabulary_.pieces = {"{", "}", "[", "]",    ":",     ",",   "\"",  "\\",   " ",     "\n",
                          "0", "1", "7", "9",    "-",     ".",   "e",   "true", "false", "null",
                          "a", "b", "c", "name", "\"a\"", "{\"", "\":", "x}",   "]]",    "u00"};
    vocabulary_.pieces.resize(kVocab);
    vocabulary_.end_ids = {kEnd};
    auto compiler = GrammarCompiler::Create(vocabulary_, {});
    ASSERT_TRUE(compiler.ok()) << compiler.status();
    compiler_ = *std::move(compiler);
    options.grammars = compiler_.get();
    Start(options);
  }

  static EngineRequest Held(GrammarSpec spec, uint64_t seed, int max_tokens) {
    EngineRequest request = Greedy({1, 2, 3}, max_tokens);
    request.sampling.temperature = seed == 0 ? 0 : 3;
    request.sampling.seed = seed;
    request.stopping.end_token_ids = {kEnd};
    request.grammar = GrammarRequest{std::move(spec)};
    return request;
  }

  std::string TextOf(const std::vector<int32_t>& tokens) const {
    std::string text;
    for (const int32_t token : tokens) text += vocabulary_.pieces[static_cast<size_t>(token)];
    return text;
  }

  GrammarVocabulary vocabulary_;
  std::unique_ptr<GrammarCompiler> compiler_;
};

const GrammarSpec kSmall = {.kind = GrammarSpec::Kind::kJsonSchema,
                            .text = R"({"type":"object","properties":{"a":{"type":"array",
                              "items":{"enum":[true,7,"a"]},"minItems":1,"maxItems":4}},
                              "required":["a"]})"};

TEST_F(EngineGrammarTest, EveryCompletionValidatesGreedyAndDrawn) {
  StartWithGrammars();
  Reader reader(engine_.get());
  for (uint64_t seed = 0; seed < 6; ++seed) {
    EngineRequest request = Held(kSmall, seed, /*max_tokens=*/50);
    request.n = seed == 0 ? 1 : 3;
    // No white space, so that every answer ends within its tokens.
    request.sampling.suppress_tokens = {8, 9};
    reader.Submit(seed + 1, std::move(request));
    for (int i = 0; i < (seed == 0 ? 1 : 3); ++i) {
      const Story story = reader.WaitFor(seed + 1, i);
      ASSERT_EQ(story.finish->reason, FinishReason::kStop) << story.finish->status;
      const auto value = nlohmann::json::parse(TextOf(story.tokens), nullptr, false);
      ASSERT_TRUE(value.is_object()) << TextOf(story.tokens);
      EXPECT_EQ(value.size(), 1u);
      EXPECT_TRUE(value["a"].is_array() && !value["a"].empty() && value["a"].size() <= 4)
          << TextOf(story.tokens);
    }
  }
  EXPECT_THAT(Page(), HasSubstr("facet_grammar_cache_hits_total"));
  EXPECT_TRUE(EverythingIsFree());
}

struct BadGrammar {
  GrammarSpec spec;
  const char* message;
};

TEST_F(EngineGrammarTest, ABadGrammarEndsItsOwnRequestOnly) {
  using Kind = GrammarSpec::Kind;
  const BadGrammar bad[] = {
      {{.kind = Kind::kJsonSchema, .text = R"({"type":"object","not":{}})"}, "/not"},
      {{.kind = Kind::kEbnf, .text = "root ::= (\"a\""}, "grammar, line 1: missing )"},
      {{.kind = Kind::kEbnf, .text = "root ::= ((\"a\"{1000}){1000}){1000}"}, "states"},
      {{.kind = Kind::kEbnf, .text = "root ::= \"a\" root"}, "no finite text"},
      {{.kind = Kind::kRegex, .text = "(a|b"}, "missing )"},
  };
  StartWithGrammars();
  Reader reader(engine_.get());
  uint64_t first = 1;
  for (const BadGrammar& c : bad) {
    for (uint64_t id = first; id < first + 8; ++id) {
      EngineRequest request = Held(id == first + 4 ? c.spec : kSmall, id, 50);
      request.sampling.suppress_tokens = {8, 9};
      reader.Submit(id, std::move(request));
    }
    for (uint64_t id = first; id < first + 8; ++id) {
      if (id == first + 4) {
        EXPECT_THAT(reader.WaitFor(id, -1).finish->status,
                    StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.message)));
      } else {
        EXPECT_EQ(reader.WaitFor(id).finish->reason, FinishReason::kStop);
      }
    }
    first += 8;
  }
  EXPECT_TRUE(EverythingIsFree());
}

// Twice as many ways to read the answer with each token: no mask may take that long.
TEST_F(EngineGrammarTest, AHostileGrammarEndsByItselfAndThoseBesideItGoOn) {
  StartWithGrammars();
  Reader reader(engine_.get());
  EngineRequest plain = Greedy({5}, 40);
  plain.sampling.temperature = 3;
  plain.sampling.seed = 11;
  reader.Submit(1, plain);
  const Story alone = reader.WaitFor(1);
  const GrammarSpec hostile = {
      .kind = GrammarSpec::Kind::kEbnf,
      .text = "root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"a\" root \"7\" | \"[\""};
  reader.Submit(2, plain);
  EngineRequest held = Held(hostile, 3, 50);
  held.sampling.suppress_tokens = {2};  // the way out
  reader.Submit(3, held);
  reader.Submit(4, Held(kSmall, 5, 40));
  EXPECT_THAT(reader.WaitFor(3).finish->status,
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("grammar: ")));
  EXPECT_EQ(reader.WaitFor(2).tokens, alone.tokens);
  reader.WaitFor(4);
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(EngineGrammarTest, SuppressingAllThatTheGrammarAllowsIsSaid) {
  StartWithGrammars();
  Reader reader(engine_.get());
  EngineRequest request = Held({.kind = GrammarSpec::Kind::kRegex, .text = "a"}, 1, 10);
  request.sampling.suppress_tokens = {20};
  reader.Submit(1, std::move(request));
  EXPECT_THAT(reader.WaitFor(1).finish->status,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("suppress_tokens")));
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(EngineGrammarTest, WhatOfATolerantToolsSchemaIsNotEnforcedIsSaidAtTheStart) {
  vocabulary_.call = {.call_begin = 40, .call_end = 41, .quote = 42};
  StartWithGrammars();
  Reader reader(engine_.get());
  GrammarSpec spec = {.kind = GrammarSpec::Kind::kToolCalls,
                      .tools = {{.name = "f",
                                 .parameters = R"({"type":"object","properties":{"a":
                                     {"type":"integer","not":{"const":7}}},"required":["a"]})",
                                 .strict = true}},
                      .tool_choice = GrammarSpec::ToolChoice::kAuto};
  reader.Submit(1, Held(spec, 1, 5));
  EXPECT_THAT(
      reader.WaitFor(1, -1).finish->status,
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("tool f: /properties/a/not: ")));
  spec.tools[0].strict = false;
  reader.Submit(2, Held(spec, 1, 5));
  const EngineStart start = reader.WaitForStart(2);
  ASSERT_EQ(start.not_enforced.size(), 1u);
  EXPECT_THAT(start.not_enforced[0], HasSubstr("f: /properties/a/not: "));
  EXPECT_TRUE(reader.WaitFor(2).finish->status.ok());
  EXPECT_THAT(Page(), HasSubstr("facet_grammar_not_enforced_total 1"));
}

TEST_F(EngineGrammarTest, RowsWithoutAGrammarAreAsTheyWouldBeAlone) {
  StartWithGrammars();
  Reader reader(engine_.get());
  EngineRequest free = Greedy({5}, 30);
  free.sampling.temperature = 3;
  free.sampling.seed = 11;
  free.sampling.logprobs = 3;
  reader.Submit(1, free);
  const Story alone = reader.WaitFor(1);
  reader.Submit(2, Held(kSmall, 5, 40));
  reader.Submit(3, free);
  reader.Submit(4, Held(kSmall, 6, 40));
  EXPECT_EQ(reader.WaitFor(3).tokens, alone.tokens);
  reader.WaitFor(2);
  reader.WaitFor(4);
}

TEST_F(EngineGrammarTest, APreemptedCompletionGoesOnWhereItWas) {
  LeaderEngine::Options options = DefaultOptions();
  options.scheduler.max_running_sequences = 4;
  StartWithGrammars(options);
  Reader reader(engine_.get());
  const GrammarSpec list = {.kind = GrammarSpec::Kind::kRegex, .text = "(true|null,){1,60}9"};
  std::vector<std::vector<int32_t>> alone;
  for (uint64_t id = 1; id <= 4; ++id) {
    reader.Submit(id, Held(list, id, 56));
    alone.push_back(reader.WaitFor(id).tokens);
  }
  // Four of 60 positions do not fit in the pool together with four more at 40.
  for (uint64_t id = 1; id <= 4; ++id) reader.Submit(10 + id, Held(list, id, 56));
  for (uint64_t id = 1; id <= 4; ++id) {
    EXPECT_EQ(reader.WaitFor(10 + id).tokens, alone[id - 1]) << id;
  }
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(EngineGrammarTest, WithoutACompilerAGrammarIsRefused) {
  Start();
  Reader reader(engine_.get());
  reader.Submit(1, Held(kSmall, 1, 10));
  EXPECT_THAT(reader.WaitFor(1, -1).finish->status,
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("tokenizer.json")));
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(EngineGrammarTest, WhatWouldKeepAnAnswerFromEndingIsRefused) {
  StartWithGrammars();
  Reader reader(engine_.get());
  EngineRequest request = Held(kSmall, 1, 10);
  request.stopping.min_tokens = 2;
  reader.Submit(1, request);
  request.stopping.min_tokens = 0;
  request.stopping.ignore_eos = true;
  reader.Submit(2, request);
  EXPECT_THAT(reader.WaitFor(1, -1).finish->status,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("min_tokens")));
  EXPECT_THAT(reader.WaitFor(2, -1).finish->status,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("ignore_eos")));
}

TEST_F(EngineGrammarTest, OneCancelledWhileItsGrammarIsCompiledNeverRuns) {
  StartWithGrammars();
  Reader reader(engine_.get());
  for (uint64_t id = 1; id <= 6; ++id) {
    EngineRequest request = Held(kSmall, id, 50);
    request.grammar->spec.text += std::string(id, ' ');  // each compiles by itself
    request.n = 2;
    reader.Submit(id, std::move(request));
    reader.Cancel(id, id % 2 == 0 ? std::nullopt : std::optional<int>(0));
  }
  for (uint64_t id = 1; id <= 6; ++id) reader.WaitFor(id, 1);
  EXPECT_TRUE(EverythingIsFree());
}

}  // namespace
}  // namespace facet
