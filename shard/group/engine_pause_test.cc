// Requests whose reader is behind.

#include <chrono>
#include <ctime>
#include <thread>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shard/group/testing/engine_harness.h"

namespace facet {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::StatusIs;

using PauseTest = EngineTest;

TEST_F(PauseTest, APausedRequestStandsStillAndTheOthersGoOn) {
  Start();
  model_.Hold(/*free_steps=*/3);
  Reader reader(engine_.get());
  reader.Submit(1, Greedy({5}, 40));
  reader.WaitForTokens(1, 3);
  reader.SetPaused(1, true);
  model_.Release();
  reader.Submit(2, Greedy({1}, 60));
  EXPECT_EQ(reader.WaitFor(2).tokens.size(), 60u);
  // The token of the step in flight was still taken.
  EXPECT_EQ(reader.Of(1).completions[0].tokens.size(), 4u);
  reader.SetPaused(1, false);
  const Story story = reader.WaitFor(1);
  ASSERT_EQ(story.tokens.size(), 40u);
  for (size_t i = 0; i < 40; ++i) EXPECT_EQ(story.tokens[i], static_cast<int32_t>(6 + i));
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(PauseTest, AllCompletionsArePaused) {
  Start();
  model_.Hold(/*free_steps=*/3);
  Reader reader(engine_.get());
  EngineRequest request = Greedy({5}, 20);
  request.n = 2;
  reader.Submit(1, request);
  reader.WaitForTokens(1, 1, 1);
  reader.SetPaused(1, true);
  model_.Release();
  reader.Submit(2, Greedy({1}, 60));
  reader.WaitFor(2);
  EXPECT_LT(reader.Of(1).completions[0].tokens.size(), 6u);
  EXPECT_LT(reader.Of(1).completions[1].tokens.size(), 6u);
  reader.SetPaused(1, false);
  EXPECT_EQ(reader.WaitFor(1, 0).tokens.size(), 20u);
  EXPECT_EQ(reader.WaitFor(1, 1).tokens.size(), 20u);
}

TEST_F(PauseTest, ARequestMayBePausedBeforeItStarts) {
  Start();
  model_.Hold();
  Reader reader(engine_.get());
  reader.Submit(1, Greedy({1}, 5));
  model_.WaitUntilHeld();
  reader.Submit(2, Greedy({1}, 5));
  reader.SetPaused(2, true);
  model_.Release();
  EXPECT_EQ(reader.WaitFor(1).tokens.size(), 5u);
  EXPECT_TRUE(reader.Of(2).completions[0].tokens.empty());
  reader.SetPaused(2, false);
  EXPECT_EQ(reader.WaitFor(2).tokens.size(), 5u);
}

TEST_F(PauseTest, APauseThatIsTooLongEndsTheRequest) {
  LeaderEngine::Options options = DefaultOptions();
  options.max_pause = absl::Milliseconds(30);
  Start(options);
  model_.Hold(/*free_steps=*/2);
  Reader reader(engine_.get());
  reader.Submit(1, Greedy({5}, 40));
  reader.Submit(2, Greedy({5}, 40));
  reader.WaitForTokens(1, 1);
  reader.SetPaused(1, true);
  reader.SetPaused(2, true);
  reader.SetPaused(2, false);
  model_.Release();
  EXPECT_THAT(reader.WaitFor(1).finish->status,
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("paused for "), HasSubstr("at most 30ms"))));
  EXPECT_EQ(reader.WaitFor(2).tokens.size(), 40u);
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(PauseTest, ADeadlineHoldsDuringAPause) {
  Start();
  model_.Hold(/*free_steps=*/2);
  Reader reader(engine_.get());
  EngineRequest request = Greedy({5}, 40);
  request.timeout = absl::Milliseconds(200);
  reader.Submit(1, request);
  reader.SetPaused(1, true);
  model_.Release();
  EXPECT_THAT(reader.WaitFor(1).finish->status, StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(PauseTest, APausedRequestCanBeCancelled) {
  Start();
  model_.Hold(/*free_steps=*/2);
  Reader reader(engine_.get());
  reader.Submit(1, Greedy({5}, 40));
  reader.WaitForTokens(1, 1);
  reader.SetPaused(1, true);
  reader.SetPaused(99, true);  // never there: nothing
  model_.Release();
  reader.Cancel(1);
  EXPECT_EQ(reader.WaitFor(1).finish->reason, FinishReason::kCancelled);
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(PauseTest, NothingTurnsWhileEveryRequestIsPaused) {
  Start();
  model_.Hold(/*free_steps=*/2);
  Reader reader(engine_.get());
  EngineRequest request = Greedy({5}, 40);
  request.timeout = absl::Minutes(5);
  reader.Submit(1, request);
  reader.WaitForTokens(1, 1);
  reader.SetPaused(1, true);
  model_.Release();
  // A loop that turned would take all of this time, or what the machine leaves it: the test cannot
  // fail because of others.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const std::clock_t before = std::clock();  // of the process's CPU time
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LT(std::clock() - before, CLOCKS_PER_SEC / 10);
  reader.SetPaused(1, false);
  EXPECT_EQ(reader.WaitFor(1).tokens.size(), 40u);
}

}  // namespace
}  // namespace facet
