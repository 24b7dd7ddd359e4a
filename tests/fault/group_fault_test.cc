// What becomes of a shard group, and of those who wait for it, when one of its processes dies,
// hangs, or never comes. Real processes on loopback; tests/fault/README.md is the list.

#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/engine_client.h"
#include "tests/testing/health_client.h"
#include "tests/testing/local_group.h"

namespace facet::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Ne;

constexpr absl::Duration kExchangeLimit = absl::Seconds(2);  // --collective_timeout
// What a loaded machine may take on top of a limit.
constexpr absl::Duration kSlack = absl::Seconds(4);
constexpr absl::Duration kPatience = absl::Seconds(20);
const std::vector<int32_t> kPrompt = {2, 17, 40, 300, 5};

class GroupFaultTest : public ::testing::TestWithParam<std::string> {
 protected:
  LocalGroup::Options Options(int world_size) {
    LocalGroup::Options options;
    options.model = BinaryPath("tests/golden/dense");
    options.world_size = world_size;
    options.flags = {absl::StrCat("--collective_timeout=", absl::FormatDuration(kExchangeLimit)),
                     "--join_timeout=20s", "--collective=" + GetParam()};
    return options;
  }

  void StartGroup(int world_size = 2) {
    auto group = LocalGroup::Start(Options(world_size));
    ASSERT_THAT(group, IsOk());
    group_ = *std::move(group);
    client_ = std::make_unique<EngineClient>(group_->leader_address());
  }

  void MakeBusy() {
    client_->KeepBusy(4, kPrompt, 400);
    client_->Submit(GreedyRequest(1, kPrompt, 5));
    ASSERT_TRUE(client_->WaitFor(1, kPatience).has_value());
  }

  // The leader told every request and then ended the stream, naming `cause`.
  void ExpectClientsWereTold(absl::Duration limit, const std::string& cause) {
    const auto end = client_->WaitForEnd(limit);
    ASSERT_TRUE(end.has_value()) << "the stream still holds after " << limit;
    EXPECT_EQ(end->error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_THAT(end->error_message(), HasSubstr(cause));
    EXPECT_EQ(client_->errors().size(), 4u);
    for (const internal::Finish& finish : client_->errors()) {
      EXPECT_EQ(finish.code(), static_cast<int>(absl::StatusCode::kUnavailable));
      EXPECT_THAT(finish.message(), HasSubstr(cause));
    }
  }

  void ExpectFails(int rank, absl::Duration limit, const std::string& output = "") {
    const auto status = group_->rank(rank).WaitForExit(limit);
    ASSERT_THAT(status, IsOk());
    EXPECT_EQ(*status, 1) << group_->rank(rank).Output();
    EXPECT_THAT(group_->rank(rank).Output(), HasSubstr(output));
  }

  std::unique_ptr<LocalGroup> group_;
  std::unique_ptr<EngineClient> client_;
};

TEST_P(GroupFaultTest, AKilledFollowerIsNamedToEveryClientAndTakesTheGroupAlong) {
  ASSERT_NO_FATAL_FAILURE(StartGroup(4));
  ASSERT_NO_FATAL_FAILURE(MakeBusy());
  group_->rank(1).Signal(SIGKILL);
  ExpectClientsWereTold(kExchangeLimit + kSlack, "rank 1");
  ExpectFails(0, kExchangeLimit + kSlack, "rank 1");
  ExpectFails(2, kExchangeLimit + kSlack);
  ExpectFails(3, kExchangeLimit + kSlack);
}

TEST_P(GroupFaultTest, AKilledFollowerOfAnIdleGroupIsNoticedToo) {
  ASSERT_NO_FATAL_FAILURE(StartGroup());
  HealthClient health(group_->leader_address());
  group_->rank(1).Signal(SIGKILL);
  EXPECT_TRUE(health.WaitFor("", "NOT_SERVING", absl::Seconds(2) + kSlack) ||
              health.Check("") == "UNAVAILABLE");
  const auto end = client_->WaitForEnd(kSlack);
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->error_code(), grpc::StatusCode::UNAVAILABLE);
  ExpectFails(0, kSlack, "rank 1");
}

TEST_P(GroupFaultTest, AKilledLeaderEndsItsStreamsAndFollowers) {
  ASSERT_NO_FATAL_FAILURE(StartGroup(4));
  ASSERT_NO_FATAL_FAILURE(MakeBusy());
  group_->rank(0).Signal(SIGKILL);
  const auto end = client_->WaitForEnd(kSlack);
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->error_code(), grpc::StatusCode::UNAVAILABLE);
  for (int rank : {1, 2, 3}) ExpectFails(rank, kExchangeLimit + kSlack);
}

TEST_P(GroupFaultTest, AStoppedFollowerIsLostWithinTheTimeout) {
  ASSERT_NO_FATAL_FAILURE(StartGroup(4));
  ASSERT_NO_FATAL_FAILURE(MakeBusy());
  const absl::Time start = absl::Now();
  group_->rank(2).Signal(SIGSTOP);
  ExpectClientsWereTold(kExchangeLimit + kSlack, "rank 2");
  EXPECT_GE(absl::Now() - start, kExchangeLimit / 2);  // it was given its time
  ExpectFails(0, kSlack, "rank 2");
  ExpectFails(1, kSlack);
  ExpectFails(3, kSlack);
  EXPECT_EQ(HealthClient(group_->ports(2).grpc_address()).Check(""), "DEADLINE_EXCEEDED");
  group_->rank(2).Signal(SIGCONT);  // it wakes up in a group that is gone
  ExpectFails(2, kExchangeLimit + kSlack);
}

TEST_P(GroupFaultTest, AStoppedFollowerOfAnIdleGroupIsLostToo) {
  ASSERT_NO_FATAL_FAILURE(StartGroup());
  group_->rank(1).Signal(SIGSTOP);
  const auto end = client_->WaitForEnd(absl::Seconds(1) + kExchangeLimit + kSlack);
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->error_code(), grpc::StatusCode::UNAVAILABLE);
  ExpectFails(0, kSlack, "rank 1");
  group_->rank(1).Signal(SIGCONT);
  ExpectFails(1, kExchangeLimit + kSlack);
}

TEST_P(GroupFaultTest, AStoppedLeaderIsLostByFollowersAndClients) {
  ASSERT_NO_FATAL_FAILURE(StartGroup());
  ASSERT_NO_FATAL_FAILURE(MakeBusy());
  group_->rank(0).Signal(SIGSTOP);
  const auto end = client_->WaitForEnd(absl::Seconds(2) + kSlack);  // by its keepalive
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->error_code(), grpc::StatusCode::UNAVAILABLE);
  ExpectFails(1, kExchangeLimit + kSlack, "rank 0");
  group_->rank(0).Signal(SIGCONT);
  ExpectFails(0, kExchangeLimit + kSlack);
}

TEST_P(GroupFaultTest, AGroupThatWasLostCanBeStartedAnew) {
  ASSERT_NO_FATAL_FAILURE(StartGroup());
  ASSERT_NO_FATAL_FAILURE(MakeBusy());
  const auto before = client_->WaitFor(1, kPatience);
  const int port = group_->ports(0).grpc;
  group_->rank(1).Signal(SIGKILL);
  ExpectFails(0, kExchangeLimit + kSlack);
  LocalGroup::Options options = Options(2);
  options.leader_port = port;  // where routers look for it
  auto again = LocalGroup::Start(options);
  ASSERT_THAT(again, IsOk());
  EngineClient client((*again)->leader_address());
  client.Submit(GreedyRequest(1, kPrompt, 5));
  const auto after = client.WaitFor(1, kPatience);
  ASSERT_TRUE(before.has_value() && after.has_value());
  EXPECT_EQ(before->SerializeAsString().substr(0, 20), after->SerializeAsString().substr(0, 20));
}

TEST_P(GroupFaultTest, AMissingRankIsNamedByAllThatCame) {
  LocalGroup::Options options = Options(4);
  options.flags.push_back("--join_timeout=2s");
  ServerPorts leader_ports, ports;
  auto leader = LocalGroup::StartRank(options, 0, "", &leader_ports);
  ASSERT_THAT(leader, IsOk());
  auto one = LocalGroup::StartRank(options, 1, leader_ports.grpc_address(), &ports);
  ASSERT_THAT(one, IsOk());
  auto three = LocalGroup::StartRank(options, 3, leader_ports.grpc_address(), &ports);
  ASSERT_THAT(three, IsOk());
  for (ChildProcess* process : {leader->get(), one->get(), three->get()}) {
    const auto status = process->WaitForExit(absl::Seconds(2) + kSlack);
    ASSERT_THAT(status, IsOk());
    EXPECT_EQ(*status, 1);
    EXPECT_THAT(process->Output(), HasSubstr("rank 2 of 4 has not joined"));
  }
}

TEST_P(GroupFaultTest, ARankWithOtherSettingsIsRefusedOnBothSides) {
  const LocalGroup::Options options = Options(2);
  ServerPorts leader_ports, ports;
  auto leader = LocalGroup::StartRank(options, 0, "", &leader_ports);
  ASSERT_THAT(leader, IsOk());
  auto one =
      LocalGroup::StartRank(options, 1, leader_ports.grpc_address(), &ports, {"--page_tokens=8"});
  ASSERT_THAT(one, IsOk());
  for (ChildProcess* process : {leader->get(), one->get()}) {
    const auto status = process->WaitForExit(kPatience);
    ASSERT_THAT(status, IsOk());
    EXPECT_EQ(*status, 1);
    EXPECT_THAT(process->Output(), HasSubstr("page_tokens is 8, the leader's is 16"));
  }
}

TEST_P(GroupFaultTest, ARankWithAnotherCheckpointIsRefusedOnBothSides) {
  const LocalGroup::Options options = Options(2);
  ServerPorts leader_ports, ports;
  auto leader = LocalGroup::StartRank(options, 0, "", &leader_ports);
  ASSERT_THAT(leader, IsOk());
  auto one = LocalGroup::StartRank(options, 1, leader_ports.grpc_address(), &ports,
                                   {"--model=" + BinaryPath("tests/golden/ple")});
  ASSERT_THAT(one, IsOk());
  for (ChildProcess* process : {leader->get(), one->get()}) {
    const auto status = process->WaitForExit(kPatience);
    ASSERT_THAT(status, IsOk());
    EXPECT_EQ(*status, 1);
    EXPECT_THAT(process->Output(), HasSubstr("rank 1 cannot join: its checkpoint"));
  }
}

TEST_P(GroupFaultTest, ACancelledRequestAndALostRouterFreeTheirPages) {
  ASSERT_NO_FATAL_FAILURE(StartGroup());
  const std::string used = "facet_kv_pages_used{pool=\"global\"}";
  client_->KeepBusy(4, kPrompt, 400);
  ASSERT_TRUE(client_->WaitForTokens(1000000, 1, kPatience));
  EXPECT_GT(group_->Metric(0, used), 0);
  EngineClient other(group_->leader_address());
  other.Submit(GreedyRequest(1, kPrompt, 500));
  ASSERT_TRUE(other.WaitForTokens(1, 1, kPatience));
  other.Cancel(1);
  const auto output = other.WaitFor(1, kPatience);
  ASSERT_TRUE(output.has_value());
  EXPECT_EQ(output->finish().reason(), internal::Finish::CANCELLED);
  EXPECT_LT(output->tokens_size(), 500);
  client_.reset();  // a router that is gone
  EXPECT_TRUE(group_->WaitForMetric(0, used, 0, kSlack));
  EXPECT_TRUE(group_->WaitForMetric(0, "facet_kv_pages_used{pool=\"sliding\"}", 0, kSlack));
  EXPECT_TRUE(group_->WaitForMetric(0, "facet_requests_running", 0, kSlack));
}

TEST_P(GroupFaultTest, SigtermUnderLoadFinishesWhatRunsAndAllRanksExitZero) {
  ASSERT_NO_FATAL_FAILURE(StartGroup());
  for (uint64_t id = 1; id <= 8; ++id) client_->Submit(GreedyRequest(id, kPrompt, 450));
  ASSERT_TRUE(client_->WaitForTokens(8, 1, kPatience));
  group_->rank(1).Signal(SIGTERM);  // as when a whole pod group is deleted
  group_->rank(0).Signal(SIGTERM);
  for (uint64_t id = 1; id <= 8; ++id) {
    const auto output = client_->WaitFor(id, kPatience);
    ASSERT_TRUE(output.has_value()) << id;
    EXPECT_EQ(output->tokens_size(), 450) << output->finish().message();
  }
  const auto end = client_->WaitForEnd(kPatience);
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(end->error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(end->error_message(), HasSubstr("draining"));
  for (int rank : {0, 1}) {
    const auto status = group_->rank(rank).WaitForExit(kPatience);
    ASSERT_THAT(status, IsOk());
    EXPECT_EQ(*status, 0) << group_->rank(rank).Output();
  }
}

TEST_P(GroupFaultTest, AFollowerThatMustGoAloneTakesTheGroupAlongAfterItsGracePeriod) {
  LocalGroup::Options options = Options(2);
  options.flags.push_back("--grace_period=1s");
  auto group = LocalGroup::Start(options);
  ASSERT_THAT(group, IsOk());
  (*group)->rank(1).Signal(SIGTERM);
  EXPECT_TRUE(HealthClient((*group)->ports(1).grpc_address())
                  .WaitFor("", "NOT_SERVING", absl::Seconds(1) + kSlack));
  const auto follower = (*group)->rank(1).WaitForExit(absl::Seconds(1) + kSlack);
  ASSERT_THAT(follower, IsOk());
  EXPECT_EQ(*follower, 0);
  const auto leader = (*group)->rank(0).WaitForExit(kExchangeLimit + kSlack);
  ASSERT_THAT(leader, IsOk());
  EXPECT_EQ(*leader, 1);
  EXPECT_THAT((*group)->rank(0).Output(), HasSubstr("rank 1"));
}

INSTANTIATE_TEST_SUITE_P(Over, GroupFaultTest, ::testing::Values("shm", "gloo"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace facet::testing
