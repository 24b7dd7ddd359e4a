#include "shard/group/follower_loop.h"

#include <thread>

#include "absl/time/clock.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"
#include "shard/collective/testing/in_process_collective.h"
#include "shard/group/plan_channel.h"
#include "shard/group/testing/counting_model.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

StepPlan RunPlan(std::vector<int> token_counts) {
  StepPlan plan;
  plan.step = 5;
  for (const int count : token_counts) {
    SequenceStep sequence;
    sequence.tokens.assign(static_cast<size_t>(count), 1);
    plan.sequences.push_back(sequence);
  }
  return plan;
}

StepPlan Of(StepPlan::Kind kind) {
  StepPlan plan;
  plan.kind = kind;
  return plan;
}

class FollowerLoopTest : public ::testing::Test {
 protected:
  void StartFollower() {
    follower_ = std::thread([this] { result_ = RunFollower(&model_, group_[1].get(), &metrics_); });
  }
  absl::Status Result() {
    follower_.join();
    return result_;
  }
  absl::Status Send(const StepPlan& plan) { return PlanChannel(group_[0].get()).Send(plan); }

  CountingModel model_{8};
  std::vector<std::unique_ptr<Collective>> group_ = MakeInProcessGroup(2, absl::Milliseconds(500));
  prometheus::Registry registry_;
  StepMetrics metrics_{registry_};
  absl::Status result_;
  std::thread follower_;
};

TEST_F(FollowerLoopTest, ExecutesEveryPlanUntilTheStop) {
  StartFollower();
  EXPECT_THAT(Send(RunPlan({3})), IsOk());
  EXPECT_THAT(Send(Of(StepPlan::Kind::kIdle)), IsOk());
  EXPECT_THAT(Send(RunPlan({1, 1})), IsOk());
  EXPECT_THAT(Send(Of(StepPlan::Kind::kStop)), IsOk());
  EXPECT_THAT(Result(), IsOk());
  EXPECT_EQ(model_.steps(), 2);
  const std::string page = prometheus::TextSerializer().Serialize(registry_.Collect());
  EXPECT_THAT(page, HasSubstr("facet_steps_total 2"));
  EXPECT_THAT(page, HasSubstr("facet_step_duration_seconds_count{phase=\"prefill\"} 1"));
  EXPECT_THAT(page, HasSubstr("facet_step_duration_seconds_count{phase=\"decode\"} 1"));
}

TEST_F(FollowerLoopTest, ASilentLeaderIsLostWithinTheTimeout) {
  const absl::Time start = absl::Now();
  StartFollower();
  EXPECT_THAT(Result(),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("lost the leader")));
  EXPECT_LE(absl::Now() - start, absl::Seconds(10));
}

TEST_F(FollowerLoopTest, ALeaderThatLeavesIsLostAtOnce) {
  StartFollower();
  group_[0].reset();
  EXPECT_THAT(Result(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("lost the leader")));
}

TEST_F(FollowerLoopTest, AFailedStepBreaksTheGroupForTheLeaderToo) {
  model_.on_step = [](const StepPlan&) { return absl::InternalError("out of paper"); };
  StartFollower();
  EXPECT_THAT(Send(RunPlan({1})), IsOk());
  EXPECT_THAT(Result(), StatusIs(absl::StatusCode::kInternal, HasSubstr("step 5: out of paper")));
  EXPECT_THAT(Send(Of(StepPlan::Kind::kIdle)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("out of paper")));
}

TEST(PhaseOfTest, LooksAtWhatTheSequencesCompute) {
  EXPECT_EQ(PhaseOf(RunPlan({4, 2})), StepPhase::kPrefill);
  EXPECT_EQ(PhaseOf(RunPlan({1, 1})), StepPhase::kDecode);
  EXPECT_EQ(PhaseOf(RunPlan({1, 2})), StepPhase::kMixed);
}

}  // namespace
}  // namespace facet
