// Requests for several completions, and for the log-probabilities of their prompts.

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "base/retry_after.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shard/group/testing/engine_harness.h"
#include "shard/sampling/counter_rng.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;

class CompletionsTest : public EngineTest {
 protected:
  // Draws nearly anything of the vocabulary, and remembers what it drew.
  static EngineRequest Wild(int n, uint64_t seed, int max_tokens = 12) {
    EngineRequest request = Greedy({3, 4, 5, 6, 7}, max_tokens);
    request.n = n;
    request.sampling.temperature = 30;
    request.sampling.seed = seed;
    request.sampling.frequency_penalty = 2;
    request.sampling.repetition_penalty = 1.3;
    return request;
  }
};

TEST_F(CompletionsTest, EachIsWhatASingleRequestWithItsSeedGives) {
  Start();
  Reader reader(engine_.get());
  reader.Submit(1, Wild(4, 77));
  for (int i = 0; i < 4; ++i) {
    reader.Submit(static_cast<uint64_t>(10 + i), Wild(1, SeedOfCompletion(77, i)));
  }
  std::set<std::vector<int32_t>> different;
  for (int i = 0; i < 4; ++i) {
    const Story completion = reader.WaitFor(1, i);
    EXPECT_EQ(completion.finish->reason, FinishReason::kLength);
    EXPECT_EQ(completion.tokens, reader.WaitFor(static_cast<uint64_t>(10 + i)).tokens) << i;
    different.insert(completion.tokens);
  }
  EXPECT_EQ(different.size(), 4u);
  EXPECT_TRUE(EverythingIsFree());
  EXPECT_THAT(Page(), HasSubstr("facet_requests_finished_total{reason=\"length\"} 5\n"));
}

TEST_F(CompletionsTest, NoneDependsOnHowManyThereAre) {
  Start();
  Reader reader(engine_.get());
  reader.Submit(1, Wild(2, 5));
  reader.Submit(2, Wild(4, 5));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(reader.WaitFor(1, i).tokens, reader.WaitFor(2, i).tokens);
}

TEST_F(CompletionsTest, MoreThanCanRunAtOnceComeOneAfterTheOther) {
  Start();  // 4 run
  Reader reader(engine_.get());
  reader.Submit(1, Wild(11, 5));
  reader.Submit(2, Wild(1, SeedOfCompletion(5, 10)));
  for (int i = 0; i < 11; ++i) EXPECT_EQ(reader.WaitFor(1, i).tokens.size(), 12u);
  EXPECT_EQ(reader.WaitFor(1, 10).tokens, reader.WaitFor(2).tokens);
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(CompletionsTest, AThoughtIsClosedWhenItsBudgetIsUsedUp) {
  Start();
  Reader reader(engine_.get());
  EngineRequest request = Wild(4, 7, /*max_tokens=*/30);
  reader.Submit(1, request);
  const Story free = reader.WaitFor(1);
  // Tokens that no completion draws early by itself would prove little: these are drawn.
  request.reasoning = ReasoningLimit{
      .max_tokens = 5, .starts_in_thought = true, .open_token = free.tokens[9], .close_token = 1};
  reader.Submit(2, request);
  for (int i = 0; i < 4; ++i) {
    const std::vector<int32_t> before = reader.WaitFor(1, i).tokens;
    const std::vector<int32_t> tokens = reader.WaitFor(2, i).tokens;
    ASSERT_EQ(tokens.size(), 30u);
    const size_t thought =
        static_cast<size_t>(std::find(tokens.begin(), tokens.end(), 1) - tokens.begin());
    EXPECT_LE(thought, 5u);
    EXPECT_TRUE(std::equal(tokens.begin(), tokens.begin() + 5, before.begin()) || thought < 5);
    if (thought == 5) {
      EXPECT_EQ(std::count(tokens.begin() + 5, tokens.end(), free.tokens[9]), 0) << i;
    }
  }
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(CompletionsTest, EachStopsForItself) {
  Start();
  Reader reader(engine_.get());
  EngineRequest request = Wild(4, 3, /*max_tokens=*/30);
  for (int32_t id = 0; id < kVocab; id += 9) request.stopping.stop_token_ids.push_back(id);
  reader.Submit(1, request);
  std::set<size_t> lengths;
  for (int i = 0; i < 4; ++i) {
    const Story story = reader.WaitFor(1, i);
    for (size_t t = 0; t < story.tokens.size(); ++t) {
      EXPECT_EQ(story.tokens[t] % 9 == 0,
                t + 1 == story.tokens.size() && story.finish->reason == FinishReason::kStop);
    }
    lengths.insert(story.tokens.size());
  }
  EXPECT_GE(lengths.size(), 2u);
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(CompletionsTest, OneIsCancelledAndTheOthersGoOn) {
  Start();
  model_.Hold(/*free_steps=*/4);
  Reader reader(engine_.get());
  reader.Submit(1, Wild(3, 9));
  reader.WaitForTokens(1, 2, /*index=*/1);
  reader.Cancel(1, 1);
  EXPECT_EQ(reader.WaitFor(1, 1).finish->reason, FinishReason::kCancelled);  // during the step
  EXPECT_TRUE(PageShows("facet_requests_running 2"));                        // so is this
  reader.Cancel(1, 1);  // once more, and such as there are not: nothing
  reader.Cancel(1, 3);
  reader.Cancel(1, -1);
  model_.Release();
  EXPECT_EQ(reader.WaitFor(1, 0).tokens.size(), 12u);
  EXPECT_EQ(reader.WaitFor(1, 2).tokens.size(), 12u);
  EXPECT_LT(reader.WaitFor(1, 1).tokens.size(), 12u);
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(CompletionsTest, TheFirstIsCancelledBeforeThePromptIsComputed) {
  Start();
  model_.Hold();
  Reader reader(engine_.get());
  EngineRequest request = Wild(3, 9);
  request.prompt.assign(40, 1);
  reader.Submit(1, request);
  model_.WaitUntilHeld();
  reader.Cancel(1, 0);
  model_.Release();
  EXPECT_EQ(reader.WaitFor(1, 0).finish->reason, FinishReason::kCancelled);
  EXPECT_EQ(reader.WaitFor(1, 1).tokens.size(), 12u);
  EXPECT_EQ(reader.WaitFor(1, 2).tokens.size(), 12u);
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(CompletionsTest, OneIsCancelledBeforeTheSchedulerHearsOfTheRequest) {
  Start();
  model_.Hold();
  Reader reader(engine_.get());
  reader.Submit(1, Greedy({1}, 1));
  model_.WaitUntilHeld();
  reader.Submit(2, Wild(2, 9));
  reader.Cancel(2, 0);
  model_.Release();
  EXPECT_EQ(reader.WaitFor(2, 0).finish->reason, FinishReason::kCancelled);
  EXPECT_EQ(reader.WaitFor(2, 1).tokens.size(), 12u);
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(CompletionsTest, AllAreCancelledTogether) {
  Start();
  model_.Hold(/*free_steps=*/3);
  Reader reader(engine_.get());
  reader.Submit(1, Wild(4, 9));
  reader.WaitForTokens(1, 1, 3);
  reader.Cancel(1);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(reader.WaitFor(1, i).finish->reason, FinishReason::kCancelled);
  }
  EXPECT_EQ(reader.connection().open_requests(), 0);
  model_.Release();
  EXPECT_TRUE(EverythingIsFree());
  EXPECT_THAT(Page(), HasSubstr("facet_requests_finished_total{reason=\"cancelled\"} 1\n"));
}

TEST_F(CompletionsTest, AnErrorBeforeTheFirstTokenIsOneForAll) {
  Start();
  Reader reader(engine_.get());
  EngineRequest refused = Wild(3, 1);
  refused.priority = 1000;
  EngineRequest hopeless = Wild(3, 1);
  for (int32_t id = 0; id < kVocab; ++id) hopeless.sampling.suppress_tokens.push_back(id);
  reader.Submit(1, refused);
  reader.Submit(2, hopeless);
  reader.WaitFor(1);
  reader.WaitFor(2);
  EXPECT_TRUE(EverythingIsFree());
  for (uint64_t id : {1, 2}) {
    const RequestStory story = reader.Of(id);
    EXPECT_TRUE(story.completions.at(-1).finish.has_value());
    for (const auto& [index, completion] : story.completions) {
      EXPECT_EQ(completion.finish.has_value(), index < 0) << id << ", " << index;
    }
  }
}

TEST_F(CompletionsTest, EachCountsForTheQueue) {
  Start();  // 4 run, 8 wait
  model_.Hold();
  Reader reader(engine_.get());
  reader.Submit(1, Wild(8, 1));
  reader.Submit(2, Wild(5, 1));
  const absl::Status full = reader.WaitFor(2).finish->status;
  EXPECT_THAT(full, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("has 5")));
  EXPECT_TRUE(RetryAfter(full).has_value());
  reader.Submit(3, Wild(4, 1));
  model_.Release();
  EXPECT_EQ(reader.WaitFor(1, 7).tokens.size(), 12u);
  EXPECT_EQ(reader.WaitFor(3, 3).tokens.size(), 12u);
}

TEST_F(CompletionsTest, TheStartIsToldOnceAndFirst) {
  Start();
  model_.Hold(/*free_steps=*/1);
  Reader reader(engine_.get());
  EngineRequest request = Wild(2, 1);
  request.prompt.assign(40, 1);  // three steps
  reader.Submit(1, request);
  const EngineStart start = reader.WaitForStart(1);  // while the second one runs
  EXPECT_EQ(start.cached_tokens, 0);
  EXPECT_GE(start.queued, absl::ZeroDuration());
  EXPECT_TRUE(reader.Of(1).completions[0].tokens.empty());
  model_.Release();
  EXPECT_EQ(reader.WaitFor(1, 0).finish->queued, start.queued);
}

// ---- Log-probabilities of the prompt.

// What the counting model's logits give: 20 for the token after, 0 for the others.
float Logprob(int32_t before, int32_t token) {
  const double log_sum = std::log(std::exp(20.0) + 49);
  return static_cast<float>((token == (before + 1) % 50 ? 20.0 : 0.0) - log_sum);
}

class PromptLogprobsTest : public EngineTest {
 protected:
  static EngineRequest Scored(std::vector<int32_t> prompt, int top) {
    EngineRequest request = Greedy(std::move(prompt), 3);
    request.prompt_logprobs = top;
    return request;
  }
  static void ExpectScored(const RequestStory& story, const std::vector<int32_t>& prompt) {
    ASSERT_EQ(story.prompt.size(), prompt.size() - 1);
    for (size_t i = 1; i < prompt.size(); ++i) {
      EXPECT_EQ(story.prompt[i - 1].token, prompt[i]) << i;
      EXPECT_NEAR(story.prompt[i - 1].logprob, Logprob(prompt[i - 1], prompt[i]), 1e-5) << i;
    }
  }
  static std::vector<int32_t> SomePrompt(int length) {
    std::vector<int32_t> prompt;
    for (int i = 0; i < length; ++i) prompt.push_back(i % 7 == 0 ? 13 : (i * 3) % 50);
    return prompt;
  }
};

TEST_F(PromptLogprobsTest, ComeForEveryTokenButTheFirstInChunks) {
  Start();
  Reader reader(engine_.get());
  const std::vector<int32_t> prompt = SomePrompt(40);  // three chunks
  reader.Submit(1, Scored(prompt, 0));
  EXPECT_EQ(reader.WaitFor(1).tokens.size(), 3u);
  ExpectScored(reader.Of(1), prompt);
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(PromptLogprobsTest, ListTheLikeliestBesideEach) {
  Start();
  Reader reader(engine_.get());
  reader.Submit(1, Scored({5, 6, 9}, 2));
  reader.WaitFor(1);
  const RequestStory story = reader.Of(1);
  ASSERT_EQ(story.prompt.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    ASSERT_EQ(story.prompt[i].top_logprobs.size(), 2u);
    EXPECT_EQ(story.prompt[i].top_logprobs[0].token, i == 0 ? 6 : 7);
    EXPECT_EQ(story.prompt[i].top_logprobs[1].token, 0);
  }
}

TEST_F(PromptLogprobsTest, ComeOnceForSeveralCompletions) {
  Start();
  Reader reader(engine_.get());
  const std::vector<int32_t> prompt = SomePrompt(20);
  EngineRequest request = Scored(prompt, 0);
  request.n = 3;
  reader.Submit(1, request);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(reader.WaitFor(1, i).tokens.size(), 3u);
  ExpectScored(reader.Of(1), prompt);
}

TEST_F(PromptLogprobsTest, APromptOfOneTokenHasNone) {
  Start();
  Reader reader(engine_.get());
  reader.Submit(1, Scored({5}, 3));
  EXPECT_THAT(reader.WaitFor(1).tokens, ElementsAre(6, 7, 8));
  EXPECT_TRUE(reader.Of(1).prompt.empty());
}

TEST_F(PromptLogprobsTest, AreNotRepeatedAfterAPreemption) {
  LeaderEngine::Options options = DefaultOptions();
  options.scheduler.global_pages = 12;
  options.scheduler.sliding_pages = 12;
  Start(options);
  model_.Hold();  // until all are there
  Reader reader(engine_.get());
  std::vector<std::vector<int32_t>> prompts;
  for (uint64_t id = 1; id <= 4; ++id) {
    prompts.push_back(SomePrompt(static_cast<int>(5 + id)));
    EngineRequest request = Scored(prompts.back(), 0);
    request.stopping.max_tokens = 16;
    reader.Submit(id, request);
  }
  model_.Release();
  for (uint64_t id = 1; id <= 4; ++id) {
    EXPECT_EQ(reader.WaitFor(id).tokens.size(), 16u);
    ExpectScored(reader.Of(id), prompts[id - 1]);
  }
  EXPECT_TRUE(EverythingIsFree());
  EXPECT_THAT(Page(), ::testing::Not(HasSubstr("facet_preemptions_total 0\n")));
}

}  // namespace
}  // namespace facet
