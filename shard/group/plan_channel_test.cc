#include "shard/group/plan_channel.h"

#include <thread>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "shard/collective/single_collective.h"
#include "shard/collective/testing/in_process_collective.h"
#include "shard/step_plan_codec.h"

namespace facet {
namespace {

using testing::IsOk;
using testing::StatusIs;

StepPlan PlanOfTokens(int tokens) {
  StepPlan plan;
  plan.step = 3;
  plan.sequences.resize(1);
  for (int i = 0; i < tokens; ++i) plan.sequences[0].tokens.push_back(i * 7919 % 262144);
  plan.sequences[0].logits_from = tokens;
  return plan;
}

class PlanChannelTest : public ::testing::TestWithParam<int> {};

TEST_P(PlanChannelTest, EveryRankReceivesWhatTheLeaderSent) {
  const StepPlan sent = PlanOfTokens(GetParam());
  StepPlan idle, stop;
  idle.kind = StepPlan::Kind::kIdle;
  stop.kind = StepPlan::Kind::kStop;
  auto group = MakeInProcessGroup(3);
  std::vector<std::thread> followers;
  for (int rank = 1; rank < 3; ++rank) {
    followers.emplace_back([&, rank] {
      PlanChannel channel(group[static_cast<size_t>(rank)].get());
      const auto first = channel.Receive();
      ASSERT_THAT(first, IsOk());
      EXPECT_EQ(EncodeStepPlan(*first), EncodeStepPlan(sent));
      const auto second = channel.Receive();
      ASSERT_THAT(second, IsOk());
      EXPECT_EQ(second->kind, StepPlan::Kind::kIdle);
      const auto third = channel.Receive();
      ASSERT_THAT(third, IsOk());
      EXPECT_EQ(third->kind, StepPlan::Kind::kStop);
    });
  }
  PlanChannel channel(group[0].get());
  EXPECT_THAT(channel.Send(sent), IsOk());
  EXPECT_THAT(channel.Send(idle), IsOk());
  EXPECT_THAT(channel.Send(stop), IsOk());
  for (std::thread& follower : followers) follower.join();
}
// Around the size of the first frame, and far above.
INSTANTIATE_TEST_SUITE_P(Sizes, PlanChannelTest,
                         ::testing::Values(1, 330, 335, 336, 337, 338, 339, 340, 345, 5000),
                         ::testing::PrintToStringParamName());

TEST(PlanChannelTest, SendsNothingInAGroupOfOne) {
  SingleCollective alone;
  EXPECT_THAT(PlanChannel(&alone).Send(PlanOfTokens(5000)), IsOk());
}

TEST(PlanChannelTest, AnIdlePlanTellsTheLeaderThatAFollowerIsGone) {
  auto group = MakeInProcessGroup(2, absl::Milliseconds(200));
  StepPlan idle;
  idle.kind = StepPlan::Kind::kIdle;
  EXPECT_THAT(PlanChannel(group[0].get()).Send(idle),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST(PlanChannelTest, GarbledBytesAreNoPlan) {
  auto group = MakeInProcessGroup(2);
  std::thread leader([&] {
    std::vector<uint8_t> frame(PlanChannel::kFrameBytes, 0xff);
    EXPECT_THAT(group[0]->Broadcast(absl::MakeSpan(frame), 0), IsOk());
    frame.assign(PlanChannel::kFrameBytes, 0);
    frame[0] = 9;
    EXPECT_THAT(group[0]->Broadcast(absl::MakeSpan(frame), 0), IsOk());
  });
  PlanChannel channel(group[1].get());
  EXPECT_THAT(channel.Receive(), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(channel.Receive(), StatusIs(absl::StatusCode::kInvalidArgument));
  leader.join();
}

}  // namespace
}  // namespace facet
