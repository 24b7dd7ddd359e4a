// How requests end early, at each stage of their life; who is admitted; what runs beside a step.

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "base/retry_after.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shard/group/testing/engine_harness.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

// ---- Ends at each stage.

enum class Stage { kQueued, kPrefill, kDecode };
enum class End { kCancel, kTimeout, kDisconnect };
struct StageCase {
  std::string name;
  Stage stage;
  End end;
};
class StageTest : public EngineTest, public ::testing::WithParamInterface<StageCase> {
 protected:
  static constexpr absl::Duration kTimeout = absl::Milliseconds(100);

  EngineRequest Victim() const {
    EngineRequest request = Greedy(std::vector<int32_t>(GetParam().stage == Stage::kDecode ? 3 : 40,
                                                        1),  // 40: three steps
                                   20);
    if (GetParam().end == End::kTimeout) request.timeout = kTimeout;
    return request;
  }
};

TEST_P(StageTest, FreesEverythingBeforeTheNextStep) {
  LeaderEngine::Options options = DefaultOptions();
  options.scheduler.max_running_sequences = 1;
  Start(options);
  Reader reader(engine_.get()), other(engine_.get());
  model_.Hold(/*free_steps=*/GetParam().stage == Stage::kDecode ? 2 : 0);
  if (GetParam().stage == Stage::kQueued) {
    other.Submit(1, Greedy({1}, 1));  // runs, so the victim waits
    model_.WaitUntilHeld();
  }
  const absl::Time submitted = absl::Now();
  reader.Submit(1, Victim());
  model_.WaitUntilHeld();
  const int steps = model_.steps();
  switch (GetParam().end) {
    case End::kCancel:
      reader.Cancel(1);
      break;
    case End::kDisconnect:
      reader.Leave();
      break;
    case End::kTimeout:
      while (absl::Now() < submitted + kTimeout * 1.1) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      break;
  }
  if (GetParam().end != End::kTimeout) {  // a deadline is looked at between steps
    EXPECT_TRUE(PageShows("facet_requests_waiting 0"));
    if (GetParam().stage != Stage::kQueued) {
      EXPECT_TRUE(PageShows("facet_kv_pages_used{pool=\"global\"} 0"));
      EXPECT_TRUE(PageShows("facet_requests_running 0"));
    }
  }
  model_.Release();
  EXPECT_TRUE(EverythingIsFree());
  EXPECT_EQ(model_.steps(), steps);  // not one for it
  if (GetParam().end == End::kDisconnect) return;
  const Story story = reader.WaitFor(1);
  if (GetParam().end == End::kCancel) {
    EXPECT_EQ(story.finish->reason, FinishReason::kCancelled);
  } else {
    EXPECT_THAT(story.finish->status, StatusIs(absl::StatusCode::kDeadlineExceeded));
  }
}
INSTANTIATE_TEST_SUITE_P(Each, StageTest,
                         ::testing::ValuesIn(std::vector<StageCase>{
                             {"cancel_queued", Stage::kQueued, End::kCancel},
                             {"cancel_prefill", Stage::kPrefill, End::kCancel},
                             {"cancel_decode", Stage::kDecode, End::kCancel},
                             {"timeout_queued", Stage::kQueued, End::kTimeout},
                             {"timeout_prefill", Stage::kPrefill, End::kTimeout},
                             {"timeout_decode", Stage::kDecode, End::kTimeout},
                             {"disconnect_queued", Stage::kQueued, End::kDisconnect},
                             {"disconnect_prefill", Stage::kPrefill, End::kDisconnect},
                             {"disconnect_decode", Stage::kDecode, End::kDisconnect},
                         }),
                         [](const auto& info) { return info.param.name; });

// ---- Who is admitted.

using AdmissionTest = EngineTest;

TEST_F(AdmissionTest, OneMalformedAmongEightFailsAlone) {
  Start();
  Reader reader(engine_.get());
  for (uint64_t id = 1; id <= 9; ++id) {
    EngineRequest request = Greedy({static_cast<int32_t>(id)}, 6);
    if (id == 5) request.prompt.push_back(kVocab);
    reader.Submit(id, request);
  }
  for (uint64_t id = 1; id <= 9; ++id) {
    const Story story = reader.WaitFor(id);
    if (id == 5) {
      EXPECT_THAT(story.finish->status, StatusIs(absl::StatusCode::kInvalidArgument));
    } else {
      EXPECT_EQ(story.finish->reason, FinishReason::kLength);
      EXPECT_EQ(story.tokens.size(), 6u);
      EXPECT_EQ(story.tokens[0], static_cast<int32_t>(id + 1));
    }
  }
}

TEST_F(AdmissionTest, PromptsThatWaitAreBoundedByTheirTokens) {
  LeaderEngine::Options options = DefaultOptions();
  options.scheduler.max_running_sequences = 1;
  options.scheduler.max_queue_tokens = 64;
  Start(options);
  model_.Hold(/*free_steps=*/1);
  Reader reader(engine_.get());
  reader.Submit(1, Greedy(std::vector<int32_t>(10, 1), 3));
  reader.WaitForTokens(1, 1);  // it has started: its prompt waits no more
  reader.Submit(2, Greedy(std::vector<int32_t>(60, 1), 2));
  reader.Submit(3, Greedy(std::vector<int32_t>(5, 1), 2));
  const absl::Status full = reader.WaitFor(3).finish->status;
  EXPECT_THAT(full, StatusIs(absl::StatusCode::kResourceExhausted,
                             HasSubstr("60 tokens are waiting, at most 64; this one has 5")));
  EXPECT_TRUE(RetryAfter(full).has_value());
  reader.Submit(4, Greedy(std::vector<int32_t>(4, 1), 2));
  reader.Cancel(2);  // so there is room for another
  reader.Submit(5, Greedy(std::vector<int32_t>(60, 1), 2));
  EXPECT_EQ(reader.connection().open_requests(), 3);
  model_.Release();
  for (uint64_t id : {1, 4, 5}) EXPECT_EQ(reader.WaitFor(id).finish->reason, FinishReason::kLength);
  EXPECT_TRUE(EverythingIsFree());
}

// ---- The prefix cache.

using PrefixCacheTest = EngineTest;

EngineRequest Salted(EngineRequest request, const std::string& salt) {
  request.cache_salt = salt;
  return request;
}

TEST_F(PrefixCacheTest, APromptMeetsItsPagesAgainUnderTheSameSaltOnly) {
  Start();
  Reader reader(engine_.get());
  const std::vector<int32_t> prompt(21, 7);  // five whole pages of 4
  reader.Submit(1, Salted(Greedy(prompt, 3), "a"));
  reader.WaitFor(1);
  reader.Submit(2, Salted(Greedy(prompt, 3), "b"));
  reader.WaitFor(2);
  reader.Submit(3, Salted(Greedy(prompt, 3), "a"));
  EXPECT_THAT(reader.WaitFor(3).tokens, ::testing::ElementsAre(8, 9, 10));
  EXPECT_EQ(reader.Of(1).started->cached_tokens, 0);
  EXPECT_EQ(reader.Of(2).started->cached_tokens, 0);
  EXPECT_EQ(reader.Of(3).started->cached_tokens, 20);
  EXPECT_TRUE(EverythingIsFree());
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("facet_prefix_cache_query_tokens_total 63\n"));
  EXPECT_THAT(page, HasSubstr("facet_prefix_cache_hit_tokens_total 20\n"));
  EXPECT_THAT(page, HasSubstr("facet_kv_capacity_tokens{pool=\"global\"} 256\n"));
  EXPECT_THAT(page, ::testing::Not(HasSubstr("facet_kv_pages_cached{pool=\"global\"} 0\n")));
}

TEST_F(PrefixCacheTest, CanBeSwitchedOff) {
  LeaderEngine::Options options = DefaultOptions();
  options.scheduler.enable_prefix_cache = false;
  Start(options);
  Reader reader(engine_.get());
  for (uint64_t id : {1, 2}) {
    reader.Submit(id, Greedy(std::vector<int32_t>(21, 7), 3));
    reader.WaitFor(id);
    EXPECT_EQ(reader.Of(id).started->cached_tokens, 0);
  }
  EXPECT_THAT(Page(), HasSubstr("facet_kv_pages_cached{pool=\"global\"} 0\n"));
}

// ---- Beside the step.

using OverlapTest = EngineTest;

TEST_F(OverlapTest, AReadersCallbackHoldsNoStepUp) {
  Start();
  bool in_time = true;
  int calls = 0;  // number n, from 0 on, comes while step n + 1 runs
  std::shared_ptr<EngineConnection> connection = engine_->Connect([&] {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    const int next_step = std::min(6, calls++ + 2);
    while (in_time && model_.steps() < next_step) {
      std::this_thread::yield();
      if (absl::Now() > deadline) in_time = false;
    }
  });
  engine_->Submit(connection, 1, Greedy({1}, 6));
  EXPECT_TRUE(EverythingIsFree());
  engine_->Disconnect(connection);
  EXPECT_TRUE(in_time);
  EXPECT_EQ(model_.steps(), 6);
}

TEST_F(OverlapTest, RequestsAreTakenInWhileAStepRuns) {
  Start();
  model_.Hold();
  Reader reader(engine_.get());
  reader.Submit(1, Greedy({1}, 2));
  model_.WaitUntilHeld();
  // The scheduler refuses it.
  EngineRequest doomed = Greedy(std::vector<int32_t>(3, 1), 2);
  doomed.timeout = absl::Nanoseconds(1);
  reader.Submit(2, doomed);
  EXPECT_THAT(reader.WaitFor(2).finish->status, StatusIs(absl::StatusCode::kDeadlineExceeded));
  reader.Submit(3, Greedy({1}, 2));
  EXPECT_TRUE(PageShows("facet_requests_waiting 1"));
  model_.Release();
  EXPECT_EQ(reader.WaitFor(3).tokens.size(), 2u);
}

TEST_F(OverlapTest, TheTimeBetweenStepsIsMeasuredWhileThereIsWork) {
  Start();
  Reader reader(engine_.get());
  reader.Submit(1, Greedy({1}, 5));
  reader.WaitFor(1);
  EXPECT_TRUE(EverythingIsFree());
  reader.Submit(2, Greedy({1}, 5));  // after a rest, which is nobody's waiting
  reader.WaitFor(2);
  EXPECT_THAT(Page(), HasSubstr("facet_step_host_seconds_count 8\n"));
}

}  // namespace
}  // namespace facet
