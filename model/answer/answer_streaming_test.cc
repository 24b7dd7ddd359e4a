// What streams is what a whole answer gives, however the tokens are cut into deltas and whatever
// they are.

#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "model/answer/testing/answer_corpus.h"
#include "model/answer/testing/parsed_answer.h"

namespace facet {
namespace {

using ::facet::testing::AnswerCorpus;
using ::facet::testing::AnswerIds;
using ::facet::testing::AnswerIdsByCharacter;
using ::facet::testing::ParseAnswer;
using ::facet::testing::ParseAnswerInChunks;
using ::facet::testing::ParsedAnswer;
using ::facet::testing::WithCorpusSchemas;
using End = AnswerParser::End;
using Kind = AnswerEvent::Kind;

constexpr End kEnds[] = {End::kStop, End::kLength};

std::vector<size_t> RandomChunks(size_t tokens, std::mt19937& random) {
  std::vector<size_t> chunks;
  const size_t largest = 1 + random() % (random() % 2 == 0 ? 4 : 40);
  for (size_t sum = 0; sum < tokens; sum += chunks.back()) {
    chunks.push_back(random() % (largest + 1));
    if (chunks.back() == 0 && random() % 4 != 0) chunks.back() = 1;
  }
  return chunks;
}

struct Expected {
  std::vector<int32_t> ids;
  End end;
  WholeAnswer whole;
};

std::vector<Expected> ExpectedAnswers() {
  std::vector<Expected> expected;
  for (const std::string& text : AnswerCorpus()) {
    const std::vector<int32_t> ids = AnswerIds(text);
    for (const End end : kEnds) {
      expected.push_back({ids, end, ParseAnswer(ids, end, WithCorpusSchemas()).whole});
    }
  }
  return expected;
}

// Each thread takes every answer a few times, in chunks of its own: 1,000 chunkings a thread.
int CountDifferences(const std::vector<Expected>& answers, uint32_t seed) {
  std::mt19937 random(seed);
  int differences = 0;
  for (int run = 0; run < 1'000; ++run) {
    const Expected& answer = answers[(static_cast<size_t>(run) + seed * 37) % answers.size()];
    const ParsedAnswer streamed = ParseAnswerInChunks(
        answer.ids, RandomChunks(answer.ids.size(), random), answer.end, WithCorpusSchemas());
    if (streamed.whole != answer.whole) ++differences;
  }
  return differences;
}

TEST(AnswerStreamingTest, AThousandChunkingsInEachOfEightThreadsEqualTheWholeAnswer) {
  const std::vector<Expected> answers = ExpectedAnswers();
  ASSERT_GE(answers.size(), 400u);
  std::vector<int> differences(8, -1);
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] { differences[t] = CountDifferences(answers, t); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(differences, std::vector<int>(8, 0));
}

TEST(AnswerStreamingTest, TheCutOfTheTextIntoTokensChangesNothing) {
  for (const std::string& text : AnswerCorpus()) {
    for (const End end : kEnds) {
      EXPECT_EQ(ParseAnswer(AnswerIdsByCharacter(text), end, WithCorpusSchemas()).whole,
                ParseAnswer(AnswerIds(text), end, WithCorpusSchemas()).whole)
          << text;
    }
  }
}

TEST(AnswerStreamingTest, CallsAtOnceAreTheCallsThatStream) {
  for (const std::string& text : AnswerCorpus()) {
    for (const End end : kEnds) {
      AnswerOptions at_once = WithCorpusSchemas();
      at_once.streams_calls = false;
      const ParsedAnswer held = ParseAnswer(AnswerIds(text), end, at_once);
      ParsedAnswer streamed = ParseAnswer(AnswerIds(text), end, WithCorpusSchemas());
      EXPECT_EQ(held.withdrawn_calls, 0);
      EXPECT_EQ(held.broken_calls, streamed.broken_calls);
      EXPECT_EQ(held.unfinished_calls, streamed.unfinished_calls);
      // Withdrawn calls leave gaps in a stream, and took their ids with them.
      for (size_t i = 0; i < streamed.whole.calls.size(); ++i) {
        streamed.whole.calls[i].index = static_cast<int>(i);
        streamed.whole.calls[i].id = absl::StrCat("call_", i);
      }
      EXPECT_EQ(held.whole, streamed.whole) << text;
    }
  }
}

TEST(AnswerStreamingTest, EventsFollowTheirGrammar) {
  for (const std::string& text : AnswerCorpus()) {
    const std::vector<int32_t> ids = AnswerIds(text);
    const ParsedAnswer answer =
        ParseAnswerInChunks(ids, std::vector<size_t>(ids.size(), 1), End::kStop);
    int next = 0;
    bool open = false;
    for (const AnswerEvent& event : answer.events) {
      const bool is_text = event.kind == Kind::kReasoning || event.kind == Kind::kContent;
      const bool has_text = is_text || event.kind == Kind::kCallArguments;
      EXPECT_EQ(event.text.empty(), !has_text) << text;
      if (event.kind == Kind::kCallBegin) {
        EXPECT_FALSE(open) << text;
        EXPECT_EQ(event.call_index, next++) << text;
        EXPECT_EQ(event.id, absl::StrCat("call_", event.call_index)) << text;
        open = true;
      } else {
        EXPECT_EQ(open, !is_text) << text;
        EXPECT_EQ(event.call_index, is_text ? -1 : next - 1) << text;
        if (event.kind == Kind::kCallEnd || event.kind == Kind::kCallWithdrawn) open = false;
      }
    }
    EXPECT_FALSE(open) << text;
  }
}

}  // namespace
}  // namespace facet
