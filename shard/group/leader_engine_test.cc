#include "shard/group/leader_engine.h"

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/retry_after.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shard/collective/testing/in_process_collective.h"
#include "shard/group/follower_loop.h"
#include "shard/group/testing/counting_model.h"
#include "shard/group/testing/engine_harness.h"

namespace facet {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

using LeaderEngineTest = EngineTest;

TEST_F(LeaderEngineTest, GeneratesUntilTheLimit) {
  Start();
  Reader reader(engine_.get());
  reader.Submit(1, Greedy({5, 6, 7}, 4));
  const Story story = reader.WaitFor(1);
  EXPECT_THAT(story.tokens, ElementsAre(8, 9, 10, 11));
  EXPECT_EQ(story.finish->reason, FinishReason::kLength);
  EXPECT_GE(story.finish->queued, absl::ZeroDuration());
  EXPECT_TRUE(EverythingIsFree());
  EXPECT_TRUE(engine_->idle());
}

TEST_F(LeaderEngineTest, StopsAtAStopToken) {
  Start();
  Reader reader(engine_.get());
  EngineRequest request = Greedy({5}, 40);
  request.stopping.stop_token_ids = {9};
  reader.Submit(1, request);
  const Story story = reader.WaitFor(1);
  EXPECT_THAT(story.tokens, ElementsAre(6, 7, 8, 9));
  EXPECT_EQ(story.finish->reason, FinishReason::kStop);
}

TEST_F(LeaderEngineTest, AppliesPenaltiesToWhatItGenerated) {
  Start();
  Reader reader(engine_.get());
  EngineRequest request = Greedy({5}, 3);
  request.sampling.logit_bias = {{20, 21.0f}};  // a little more than the model's own choice
  request.sampling.presence_penalty = 2.0;
  reader.Submit(1, request);
  EXPECT_THAT(reader.WaitFor(1).tokens, ElementsAre(20, 21, 22));
}

TEST_F(LeaderEngineTest, ServesManyReadersAndRequestsAtOnce) {
  Start();
  std::vector<std::unique_ptr<Reader>> readers;
  for (int r = 0; r < 3; ++r) {
    readers.push_back(std::make_unique<Reader>(engine_.get()));
    for (uint64_t id = 1; id <= 4; ++id) {
      readers.back()->Submit(id, Greedy({static_cast<int32_t>(10 * r + id)}, 5));
    }
  }
  for (int r = 0; r < 3; ++r) {
    for (uint64_t id = 1; id <= 4; ++id) {
      const Story story = readers[static_cast<size_t>(r)]->WaitFor(id);
      const int32_t first = static_cast<int32_t>(10 * r + id + 1);
      EXPECT_THAT(story.tokens, ElementsAre(first, first + 1, first + 2, first + 3, first + 4));
    }
  }
}

TEST_F(LeaderEngineTest, PreemptionChangesNoResult) {
  LeaderEngine::Options options = DefaultOptions();
  options.scheduler.global_pages = 12;  // of 4 tokens: not enough for four times 20
  options.scheduler.sliding_pages = 12;
  Start(options);
  model_.Hold();  // until all are there
  Reader reader(engine_.get());
  for (uint64_t id = 1; id <= 4; ++id) reader.Submit(id, Greedy({static_cast<int32_t>(id)}, 20));
  model_.Release();
  for (uint64_t id = 1; id <= 4; ++id) {
    const Story story = reader.WaitFor(id);
    ASSERT_EQ(story.tokens.size(), 20u);
    for (size_t i = 0; i < 20; ++i) EXPECT_EQ(story.tokens[i], static_cast<int32_t>(id + i + 1));
  }
  EXPECT_TRUE(EverythingIsFree());
  EXPECT_THAT(Page(), ::testing::Not(HasSubstr("facet_preemptions_total 0\n")));
}

// ---- The end of the context.

struct ContextCase {
  std::string name;
  int prompt;
  int max_tokens;
  absl::StatusCode code;
  size_t generated;
};
class ContextTest : public LeaderEngineTest, public ::testing::WithParamInterface<ContextCase> {};

TEST_P(ContextTest, EndsWithLengthOrIsRefusedWithBothNumbers) {
  Start();
  Reader reader(engine_.get());
  reader.Submit(1, Greedy(std::vector<int32_t>(static_cast<size_t>(GetParam().prompt), 3),
                          GetParam().max_tokens));
  const Story story = reader.WaitFor(1);
  EXPECT_EQ(story.tokens.size(), GetParam().generated);
  if (GetParam().code == absl::StatusCode::kOk) {
    EXPECT_EQ(story.finish->reason, FinishReason::kLength);
  } else {
    EXPECT_THAT(story.finish->status,
                StatusIs(GetParam().code,
                         AllOf(HasSubstr(std::to_string(GetParam().prompt)), HasSubstr("64"))));
  }
}
INSTANTIATE_TEST_SUITE_P(Of64, ContextTest,
                         ::testing::ValuesIn(std::vector<ContextCase>{
                             {"to_the_end", 4, 60, absl::StatusCode::kOk, 60},
                             {"one_before_the_end", 4, 59, absl::StatusCode::kOk, 59},
                             {"past_the_end", 4, 1000, absl::StatusCode::kOk, 60},
                             {"prompt_leaves_one", 63, 5, absl::StatusCode::kOk, 1},
                             {"prompt_fills_it", 64, 5, absl::StatusCode::kInvalidArgument, 0},
                             {"prompt_is_longer", 65, 5, absl::StatusCode::kInvalidArgument, 0},
                         }),
                         [](const auto& info) { return info.param.name; });

// ---- Refusals.

struct BadCase {
  std::string name;
  std::function<void(EngineRequest&)> change;
  std::string message;
};
class BadRequestTest : public LeaderEngineTest, public ::testing::WithParamInterface<BadCase> {};

TEST_P(BadRequestTest, IsRefusedAndNothingElseIsDisturbed) {
  Start();
  Reader reader(engine_.get());
  EngineRequest bad = Greedy({1}, 4);
  GetParam().change(bad);
  reader.Submit(1, bad);
  reader.Submit(2, Greedy({1}, 2));
  EXPECT_THAT(reader.WaitFor(1).finish->status,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
  EXPECT_THAT(reader.WaitFor(2).tokens, ElementsAre(2, 3));
  EXPECT_THAT(Page(), HasSubstr("facet_errors_total{code=\"invalid_argument\"} 1\n"));
}
INSTANTIATE_TEST_SUITE_P(
    Fields, BadRequestTest,
    ::testing::ValuesIn(std::vector<BadCase>{
        {"empty_prompt", [](auto& r) { r.prompt.clear(); }, "the prompt has no tokens"},
        {"token_too_high",
         [](auto& r) {
           r.prompt = {1, 50};
         },
         "prompt token 1 is 50"},
        {"token_negative", [](auto& r) { r.prompt = {-1}; }, "prompt token 0 is -1"},
        {"temperature", [](auto& r) { r.sampling.temperature = std::nan(""); }, "temperature"},
        {"max_tokens", [](auto& r) { r.stopping.max_tokens = 0; }, "max_tokens"},
        {"stop_id", [](auto& r) { r.stopping.stop_token_ids = {99}; }, "99"},
        {"priority", [](auto& r) { r.priority = 1000; }, "priority"},
    }),
    [](const auto& info) { return info.param.name; });

TEST_F(LeaderEngineTest, AFullQueueRefusesAndSaysWhenToComeBack) {
  LeaderEngine::Options options = DefaultOptions();
  options.scheduler.max_running_sequences = 2;
  options.scheduler.max_queue = 1;
  Start(options);
  model_.Hold();
  Reader reader(engine_.get());
  for (uint64_t id = 1; id <= 4; ++id) reader.Submit(id, Greedy({1}, 2));
  const Story refused = reader.WaitFor(4);
  EXPECT_THAT(refused.finish->status,
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("queue")));
  const auto after = RetryAfter(refused.finish->status);
  ASSERT_TRUE(after.has_value());
  EXPECT_GE(*after, absl::Milliseconds(1));
  model_.Release();
  for (uint64_t id = 1; id <= 3; ++id) EXPECT_EQ(reader.WaitFor(id).tokens.size(), 2u);
}

TEST_F(LeaderEngineTest, AnIdInUseClosesTheConnection) {
  Start();
  model_.Hold();
  Reader reader(engine_.get());
  reader.Submit(1, Greedy({1}, 2));
  reader.Submit(1, Greedy({1}, 2));
  EXPECT_THAT(reader.WaitUntilClosed(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("request id 1")));
  model_.Release();
  EXPECT_TRUE(EverythingIsFree());
}

// ---- Cancellation and deadlines.

TEST_F(LeaderEngineTest, ACancelledRequestFreesItsPagesBeforeTheNextStep) {
  Start();
  model_.Hold(/*free_steps=*/3);
  Reader reader(engine_.get());
  reader.Submit(1, Greedy({1, 2, 3}, 50));
  reader.WaitForTokens(1, 3);
  model_.WaitUntilHeld();
  EXPECT_FALSE(engine_->idle());
  EXPECT_TRUE(PageShows("facet_requests_running 1"));
  reader.Cancel(1);
  EXPECT_EQ(reader.WaitFor(1).finish->reason, FinishReason::kCancelled);  // does not wait
  model_.Release();
  EXPECT_TRUE(EverythingIsFree());
  EXPECT_EQ(model_.steps(), 4);  // the held step was the last one
  EXPECT_TRUE(engine_->idle());
}

TEST_F(LeaderEngineTest, CancelsInTheQueueAndDuringThePrompt) {
  LeaderEngine::Options options = DefaultOptions();
  options.scheduler.max_running_sequences = 1;
  Start(options);
  model_.Hold();
  Reader reader(engine_.get());
  reader.Submit(1, Greedy(std::vector<int32_t>(40, 1), 5));  // three steps of prompt
  model_.WaitUntilHeld();
  reader.Submit(2, Greedy({1}, 5));
  reader.Cancel(2);
  EXPECT_EQ(reader.WaitFor(2).finish->reason, FinishReason::kCancelled);
  reader.Cancel(1);
  EXPECT_EQ(reader.WaitFor(1).finish->reason, FinishReason::kCancelled);
  reader.Cancel(1);   // once more: nothing
  reader.Cancel(77);  // never there: nothing
  model_.Release();
  EXPECT_TRUE(EverythingIsFree());
  EXPECT_EQ(model_.steps(), 1);
}

TEST_F(LeaderEngineTest, AReaderThatLeavesTakesItsRequestsAlong) {
  Start();
  model_.Hold(/*free_steps=*/2);
  Reader stays(engine_.get());
  {
    Reader leaves(engine_.get());
    leaves.Submit(1, Greedy({1}, 60));
    leaves.Submit(2, Greedy({1}, 60));
    stays.Submit(1, Greedy({1}, 60));
    leaves.WaitForTokens(1, 1);
  }
  model_.Release();
  EXPECT_EQ(stays.WaitFor(1).tokens.size(), 60u);
  EXPECT_TRUE(EverythingIsFree());
  EXPECT_THAT(Page(), HasSubstr("facet_requests_finished_total{reason=\"cancelled\"} 2\n"));
}

TEST_F(LeaderEngineTest, ADeadlineEndsARunningAndAWaitingRequest) {
  LeaderEngine::Options options = DefaultOptions();
  options.scheduler.max_running_sequences = 1;
  Start(options);
  model_.on_step = [](const StepPlan&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return absl::OkStatus();
  };
  Reader reader(engine_.get());
  EngineRequest running = Greedy({1}, 60);
  running.timeout = absl::Milliseconds(200);
  EngineRequest waiting = Greedy({1}, 60);
  waiting.timeout = absl::Milliseconds(60);
  reader.Submit(1, running);
  reader.Submit(2, waiting);
  const auto late = StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("timeout"));
  const Story second = reader.WaitFor(2);
  EXPECT_THAT(second.finish->status, late);
  EXPECT_TRUE(second.tokens.empty());
  const Story first = reader.WaitFor(1);
  EXPECT_THAT(first.finish->status, late);
  EXPECT_GT(first.tokens.size(), 0u);
  EXPECT_LT(first.tokens.size(), 60u);
  EXPECT_TRUE(EverythingIsFree());
}

TEST_F(LeaderEngineTest, ATimeoutThatIsOverIsRefused) {
  Start();
  Reader reader(engine_.get());
  EngineRequest request = Greedy({1}, 2);
  request.timeout = absl::Nanoseconds(1);
  reader.Submit(1, request);
  EXPECT_THAT(reader.WaitFor(1).finish->status, StatusIs(absl::StatusCode::kDeadlineExceeded));
}

// ---- Readers that do not read.

TEST_F(LeaderEngineTest, ASlowReaderLosesItsRequestsAndHoldsNobodyUp) {
  LeaderEngine::Options options = DefaultOptions();
  options.max_buffered_outputs = 20;
  Start(options);
  Reader slow(engine_.get(), /*reads=*/false);
  slow.Submit(1, Greedy({1}, 60));
  slow.Submit(2, Greedy({1}, 60));
  Reader quick(engine_.get());
  quick.Submit(1, Greedy({1}, 60));
  EXPECT_EQ(quick.WaitFor(1).tokens.size(), 60u);
  EXPECT_TRUE(EverythingIsFree());
  slow.Read();
  for (uint64_t id : {1, 2}) {
    const Story story = slow.WaitFor(id);
    EXPECT_THAT(story.finish->status,
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("too slow")));
    EXPECT_LE(story.tokens.size(), 20u);
  }
  slow.Submit(3, Greedy({1}, 2));  // it has read: back to work
  while (slow.connection().open_requests() > 0) std::this_thread::yield();
  slow.Read();
  EXPECT_EQ(slow.WaitFor(3).tokens.size(), 2u);
}

TEST_F(LeaderEngineTest, AReaderThatOnlySendsIsCutOff) {
  LeaderEngine::Options options = DefaultOptions();
  options.max_buffered_outputs = 5;
  Start(options);
  Reader reader(engine_.get(), /*reads=*/false);
  for (uint64_t id = 1; id <= 100; ++id) reader.Submit(id, Greedy({}, 1));
  EXPECT_THAT(reader.WaitUntilClosed(), StatusIs(absl::StatusCode::kResourceExhausted));
}

// ---- Failure of the group.

TEST_F(LeaderEngineTest, AFailedStepFailsEveryRequestAndAllLaterOnes) {
  LeaderEngine::Options options = DefaultOptions();
  options.scheduler.max_running_sequences = 1;
  Start(options);
  model_.on_step = [](const StepPlan&) { return absl::DeadlineExceededError("rank 1 is silent"); };
  model_.Hold();
  Reader reader(engine_.get()), other(engine_.get());
  reader.Submit(1, Greedy({1}, 60));  // runs
  reader.Submit(2, Greedy({1}, 60));  // waits
  model_.Release();
  const auto lost = StatusIs(absl::StatusCode::kUnavailable,
                             HasSubstr("the shard group was lost: rank 1 is silent"));
  EXPECT_THAT(reader.WaitFor(1).finish->status, lost);
  EXPECT_THAT(reader.WaitFor(2).finish->status, lost);
  EXPECT_THAT(reader.WaitUntilClosed(), lost);
  EXPECT_THAT(other.WaitUntilClosed(), lost);
  EXPECT_THAT(Reader(engine_.get()).WaitUntilClosed(), lost);
  EXPECT_THAT(engine_->Stop(), StatusIs(absl::StatusCode::kDeadlineExceeded));
  reader.Leave();
  other.Leave();
  EXPECT_TRUE(WaitForFailure());
  EXPECT_EQ(failures_, 1);
  EXPECT_THAT(last_failure_, StatusIs(absl::StatusCode::kDeadlineExceeded, "rank 1 is silent"));
  EXPECT_THAT(Page(), HasSubstr("facet_group_ready 0\n"));
}

TEST_F(LeaderEngineTest, AHungStepFailsTheGroup) {
  LeaderEngine::Options options = DefaultOptions();
  options.step_timeout = absl::Milliseconds(100);
  auto group = MakeInProcessGroup(2);
  CountingModel peer_model(kVocab);
  absl::Status peer_result;
  std::thread peer([&] { peer_result = RunFollower(&peer_model, group[1].get(), nullptr); });
  Start(options, group[0].get());
  model_.Hold();
  Reader reader(engine_.get());
  reader.Submit(1, Greedy({1}, 60));
  EXPECT_THAT(reader.WaitFor(1).finish->status,
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("within 100ms")));
  EXPECT_TRUE(WaitForFailure());
  peer.join();  // the collective was aborted: the peer does not hang either
  EXPECT_THAT(peer_result, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("within 100ms")));
  model_.Release();
  reader.Leave();
  engine_.reset();  // before the group
  EXPECT_EQ(failures_, 1);
}

TEST_F(LeaderEngineTest, ARowThatCannotBeSampledEndsItsRequestOnly) {
  Start();
  Reader reader(engine_.get());
  EngineRequest hopeless = Greedy({1}, 5);
  for (int32_t id = 0; id < kVocab; ++id) hopeless.sampling.suppress_tokens.push_back(id);
  reader.Submit(1, hopeless);
  reader.Submit(2, Greedy({1}, 5));
  EXPECT_THAT(reader.WaitFor(1).finish->status, StatusIs(absl::StatusCode::kInternal));
  EXPECT_EQ(reader.WaitFor(2).tokens.size(), 5u);
  EXPECT_TRUE(EverythingIsFree());
  EXPECT_EQ(failures_, 0);
}

TEST_F(LeaderEngineTest, LogitsOfAWrongShapeFailTheGroup) {
  LeaderEngine::Options options = DefaultOptions();
  options.vocab_size = kVocab - 1;
  Start(options);
  Reader reader(engine_.get());
  reader.Submit(1, Greedy({1}, 5));
  EXPECT_THAT(reader.WaitFor(1).finish->status,
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("[1, 50], not [1, 49]")));
}

// ---- The orderly end.

TEST_F(LeaderEngineTest, DrainFinishesWhatRunsAndRefusesTheRest) {
  Start();
  model_.Hold();
  Reader busy(engine_.get()), quiet(engine_.get());
  busy.Submit(1, Greedy({1}, 10));
  model_.WaitUntilHeld();
  engine_->Drain();
  const auto draining = StatusIs(absl::StatusCode::kUnavailable, HasSubstr("draining"));
  EXPECT_THAT(quiet.WaitUntilClosed(), draining);
  EXPECT_THAT(busy.connection().status(), IsOk());
  busy.Submit(2, Greedy({1}, 10));
  EXPECT_THAT(busy.WaitFor(2).finish->status, draining);
  EXPECT_FALSE(engine_->idle());
  model_.Release();
  EXPECT_EQ(busy.WaitFor(1).tokens.size(), 10u);
  EXPECT_THAT(busy.WaitUntilClosed(), draining);
  EXPECT_TRUE(engine_->idle());
  EXPECT_THAT(engine_->Stop(), IsOk());
}

TEST_F(LeaderEngineTest, StopEndsWhatStillRuns) {
  Start();
  Reader reader(engine_.get());
  model_.on_step = [](const StepPlan&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return absl::OkStatus();
  };
  reader.Submit(1, Greedy({1}, 60));
  reader.WaitForTokens(1, 1);
  EXPECT_THAT(engine_->Stop(), IsOk());
  EXPECT_THAT(reader.WaitFor(1).finish->status,
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("stopping")));
  EXPECT_THAT(engine_->Stop(), IsOk());  // once more: nothing
  EXPECT_EQ(failures_, 0);
}

// ---- With followers.

class TwoRanksTest : public LeaderEngineTest {
 protected:
  ~TwoRanksTest() override { engine_.reset(); }  // before the group

  void StartBoth(absl::Duration timeout = absl::Seconds(10)) {
    group_ = MakeInProcessGroup(2, timeout);
    follower_ = std::thread(
        [this] { followed_ = RunFollower(&follower_model_, group_[1].get(), nullptr); });
    LeaderEngine::Options options = DefaultOptions();
    options.heartbeat = absl::Milliseconds(50);
    Start(options, group_[0].get());
  }
  absl::Status FollowerResult() {
    follower_.join();
    return followed_;
  }

  std::vector<std::unique_ptr<Collective>> group_;
  CountingModel follower_model_{kVocab};
  absl::Status followed_;
  std::thread follower_;
};

TEST_F(TwoRanksTest, TheFollowerExecutesTheSameStepsAndHearsTheStop) {
  StartBoth();
  {
    Reader reader(engine_.get());
    reader.Submit(1, Greedy(std::vector<int32_t>(20, 1), 10));
    EXPECT_EQ(reader.WaitFor(1).tokens.size(), 10u);
  }
  EXPECT_THAT(engine_->Stop(), IsOk());
  EXPECT_THAT(FollowerResult(), IsOk());
  EXPECT_EQ(follower_model_.steps(), model_.steps());
}

TEST_F(TwoRanksTest, AnIdleGroupOutlivesTheCollectivesTimeout) {
  StartBoth(absl::Milliseconds(400));
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));  // three timeouts
  EXPECT_THAT(engine_->failure(), IsOk());
  EXPECT_THAT(engine_->Stop(), IsOk());
  EXPECT_THAT(FollowerResult(), IsOk());
}

TEST_F(TwoRanksTest, AFollowerThatFailsIsNamedToTheReader) {
  StartBoth();
  follower_model_.on_step = [](const StepPlan& plan) {
    return plan.sequences.empty() ? absl::OkStatus() : absl::InternalError("bit rot");
  };
  Reader reader(engine_.get());
  reader.Submit(1, Greedy({1}, 60));
  const Story story = reader.WaitFor(1);
  EXPECT_THAT(story.finish->status, StatusIs(absl::StatusCode::kUnavailable,
                                             AllOf(HasSubstr("rank 1"), HasSubstr("bit rot"))));
  EXPECT_THAT(FollowerResult(), StatusIs(absl::StatusCode::kInternal));
}

TEST_F(TwoRanksTest, AnIdleLeaderNoticesAFollowerThatHangs) {
  StartBoth(absl::Milliseconds(300));
  follower_model_.Hold();
  Reader reader(engine_.get());
  reader.Submit(1, Greedy({1}, 1));
  EXPECT_EQ(reader.WaitFor(1).tokens.size(), 1u);  // the follower has not finished this step
  EXPECT_THAT(reader.WaitUntilClosed(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("rank 1")));
  follower_model_.Release();
  EXPECT_FALSE(FollowerResult().ok());
}

// ---- Metrics.

TEST_F(LeaderEngineTest, EveryMetricMovesUnderTraffic) {
  Start();
  step_metrics_.SetReady(true);
  Reader reader(engine_.get());
  reader.Submit(1, Greedy(std::vector<int32_t>(20, 1), 10));
  reader.WaitForTokens(1, 2);
  reader.Submit(2, Greedy(std::vector<int32_t>(20, 1), 10));
  reader.WaitFor(1);
  reader.WaitFor(2);
  const std::string page = Page();
  for (const std::string line :
       {"facet_group_ready 1", "facet_prompt_tokens_total 40", "facet_generation_tokens_total 20",
        "facet_request_queue_seconds_count 2", "facet_kv_pages_capacity{pool=\"global\"} 64",
        "facet_kv_pages_capacity{pool=\"sliding\"} 32",
        "facet_requests_finished_total{reason=\"length\"} 2"}) {
    EXPECT_THAT(page, HasSubstr(line + "\n"));
  }
  for (const std::string name :
       {"facet_steps_total", "facet_collective_seconds_count", "facet_sampling_seconds_total",
        "facet_step_duration_seconds_count{phase=\"prefill\"}",
        "facet_step_duration_seconds_count{phase=\"decode\"}"}) {
    EXPECT_THAT(page, HasSubstr(name + " "));
    EXPECT_THAT(page, ::testing::Not(HasSubstr(name + " 0\n")));
  }
}

}  // namespace
}  // namespace facet
