#include "shard/group/bootstrap.h"

#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shard/collective/testing/in_process_collective.h"
#include "shard/group/grpc_store.h"
#include "shard/group/host_identity.h"

namespace facet {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

BootstrapOptions Options(int rank, int world_size) {
  BootstrapOptions options;
  options.identity.rank = rank;
  options.identity.world_size = world_size;
  options.identity.fingerprint = "f00d";
  options.identity.settings = "dtype=f32";
  options.identity.build = "b";
  options.join_timeout = absl::Seconds(20);
  return options;
}

// Rank 0 in this process, with its service on a port of its own.
class Leader {
 public:
  explicit Leader(BootstrapOptions options, int port = 0) : leader_(options) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(leader_.service());
    server_ = builder.BuildAndStart();
  }
  ~Leader() { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  GroupLeader* operator->() { return &leader_; }

 private:
  GroupLeader leader_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// All ranks > 0 of `options`, as threads; the leader assembles on this one.
struct Outcome {
  absl::StatusOr<GroupHandle> leader = absl::UnknownError("not run");
  std::vector<absl::StatusOr<GroupHandle>> others;
};
Outcome RunGroup(const BootstrapOptions& leader_options, std::vector<BootstrapOptions> others) {
  Leader leader(leader_options);
  Outcome out;
  for (size_t i = 0; i < others.size(); ++i) out.others.push_back(absl::UnknownError("not run"));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < others.size(); ++i) {
    others[i].leader = leader.address();
    threads.emplace_back([&out, &others, i] { out.others[i] = JoinGroup(others[i]); });
  }
  out.leader = leader->Assemble();
  for (std::thread& thread : threads) thread.join();
  return out;
}

class BootstrapTest : public ::testing::TestWithParam<Transport> {};

TEST_P(BootstrapTest, RanksBecomeAGroupThatCanSum) {
  std::vector<BootstrapOptions> all;
  for (int rank = 0; rank < 3; ++rank) {
    all.push_back(Options(rank, 3));
    all.back().transport = GetParam();
    all.back().gloo_interface = "lo";
  }
  Outcome group = RunGroup(all[0], {all[1], all[2]});
  ASSERT_THAT(group.leader, IsOk());
  std::vector<std::thread> threads;
  std::vector<float> sums(3);
  for (int rank = 0; rank < 3; ++rank) {
    auto& handle = rank == 0 ? group.leader : group.others[static_cast<size_t>(rank - 1)];
    ASSERT_THAT(handle, IsOk());
    EXPECT_EQ(handle->transport, GetParam() == Transport::kGloo ? "gloo" : "shm");
    EXPECT_EQ(handle->collective->rank(), rank);
    threads.emplace_back([&sums, rank, collective = handle->collective.get()] {
      float value = static_cast<float>(rank + 1);
      EXPECT_THAT(collective->AllReduceSum(absl::MakeSpan(&value, 1)), IsOk());
      sums[static_cast<size_t>(rank)] = value;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sums, std::vector<float>({6, 6, 6}));
}
INSTANTIATE_TEST_SUITE_P(All, BootstrapTest,
                         ::testing::Values(Transport::kAuto, Transport::kShm, Transport::kGloo),
                         [](const auto& info) {
                           return info.param == Transport::kAuto  ? "auto"
                                  : info.param == Transport::kShm ? "shm"
                                                                  : "gloo";
                         });

TEST(BootstrapTest, AGroupOfOneIsCompleteAtOnce) {
  GroupLeader leader(Options(0, 1));
  const auto group = leader.Assemble();
  ASSERT_THAT(group, IsOk());
  EXPECT_EQ(group->transport, "none");
  EXPECT_EQ(group->collective->world_size(), 1);
}

TEST(BootstrapTest, AMismatchIsToldToBothSides) {
  BootstrapOptions wrong = Options(1, 2);
  wrong.identity.fingerprint = "beef";
  const Outcome group = RunGroup(Options(0, 2), {wrong});
  const auto refused = StatusIs(absl::StatusCode::kFailedPrecondition,
                                HasSubstr("rank 1 cannot join: its checkpoint has"));
  EXPECT_THAT(group.leader, refused);
  EXPECT_THAT(group.others[0], refused);
}

TEST(BootstrapTest, AMissingRankIsNamedOnEverySideWithinTheLimit) {
  BootstrapOptions leader = Options(0, 4);
  leader.join_timeout = absl::Milliseconds(700);
  const absl::Time start = absl::Now();
  const Outcome group = RunGroup(leader, {Options(1, 4), Options(2, 4)});
  EXPECT_LE(absl::Now() - start, absl::Seconds(10));
  const auto missing = StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("rank 3 of 4"));
  EXPECT_THAT(group.leader, missing);
  EXPECT_THAT(group.others[0], missing);
  EXPECT_THAT(group.others[1], missing);
}

TEST(BootstrapTest, TwoProcessesOfOneRankDoNotBothJoin) {
  BootstrapOptions leader = Options(0, 3);
  leader.join_timeout = absl::Seconds(2);
  const Outcome group = RunGroup(leader, {Options(1, 3), Options(1, 3)});
  EXPECT_THAT(group.leader,
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("rank 2 of 3")));
  std::vector<absl::StatusCode> codes = {group.others[0].status().code(),
                                         group.others[1].status().code()};
  EXPECT_THAT(codes, ::testing::UnorderedElementsAre(absl::StatusCode::kAlreadyExists,
                                                     absl::StatusCode::kDeadlineExceeded));
}

TEST(BootstrapTest, ALeaderThatIsNotThereIsNamed) {
  BootstrapOptions options = Options(1, 2);
  options.leader = "127.0.0.1:1";
  options.join_timeout = absl::Milliseconds(500);
  EXPECT_THAT(JoinGroup(options), StatusIs(absl::StatusCode::kDeadlineExceeded,
                                           HasSubstr("the leader at 127.0.0.1:1")));
}

TEST(BootstrapTest, ALeaderThatComesLaterIsFound) {
  int port = 0;
  { port = std::stoi(Leader(Options(0, 2)).address().substr(10)); }
  BootstrapOptions options = Options(1, 2);
  options.leader = "127.0.0.1:" + std::to_string(port);
  absl::StatusOr<GroupHandle> joined = absl::UnknownError("not run");
  std::thread follower([&] { joined = JoinGroup(options); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // long enough for a failed try
  Leader leader(Options(0, 2), port);
  EXPECT_THAT(leader->Assemble(), IsOk());
  follower.join();
  EXPECT_THAT(joined, IsOk());
}

struct OptionsCase {
  std::string name;
  std::function<void(BootstrapOptions&)> change;
  std::string message;
};
class BootstrapOptionsTest : public ::testing::TestWithParam<OptionsCase> {};

TEST_P(BootstrapOptionsTest, RefusesWithFieldValueAndLimit) {
  BootstrapOptions options = Options(1, 2);
  options.leader = "127.0.0.1:1";
  ASSERT_THAT(options.Validate(), IsOk());
  GetParam().change(options);
  EXPECT_THAT(JoinGroup(options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}
INSTANTIATE_TEST_SUITE_P(
    Bad, BootstrapOptionsTest,
    ::testing::ValuesIn(std::vector<OptionsCase>{
        {"world", [](auto& o) { o.identity.world_size = 0; }, "world size is 0; allowed: 1"},
        {"rank", [](auto& o) { o.identity.rank = 2; },
         "rank is 2; allowed in a group of 2: 0 to 1"},
        {"leader", [](auto& o) { o.leader = ""; }, "rank 1 needs the address of its leader"},
        {"join", [](auto& o) { o.join_timeout = absl::ZeroDuration(); }, "join timeout is 0"},
        {"collective", [](auto& o) { o.collective_timeout = absl::Milliseconds(1); },
         "collective timeout is 1ms"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(GrpcStoreTest, SharesValuesThroughTheLeader) {
  Leader leader(Options(0, 2));
  const auto channel = grpc::CreateChannel(leader.address(), grpc::InsecureChannelCredentials());
  GrpcStore one(channel), two(channel);
  const std::string bytes("a\0b\xff", 4);
  std::thread setter([&] { EXPECT_THAT(one.Set("k", bytes), IsOk()); });
  const auto got = two.Get("k", absl::Seconds(20));
  setter.join();
  ASSERT_THAT(got, IsOk());
  EXPECT_EQ(*got, bytes);
  EXPECT_THAT(two.Set("k", "again"), StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("k")));
  EXPECT_THAT(two.Get("other", absl::Milliseconds(30)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("other")));
  EXPECT_THAT(one.Set("big", std::string(LeaderStore::kMaxValueBytes + 1, 'x')),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("65537 bytes")));
  EXPECT_THAT(one.Set(std::string(300, 'k'), "x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("300 bytes")));
}

TEST(HostIdentityTest, IsTheSameTwiceOnOneHost) {
  EXPECT_EQ(SharedMemoryIdentity(), SharedMemoryIdentity());
  EXPECT_THAT(SharedMemoryIdentity(), HasSubstr("boot "));
}

// A collective that gives wrong numbers in one operation.
class LyingCollective final : public Collective {
 public:
  LyingCollective(Collective* honest, std::string lie) : honest_(honest), lie_(std::move(lie)) {}
  int rank() const override { return honest_->rank(); }
  int world_size() const override { return honest_->world_size(); }
  absl::Status AllReduceSum(absl::Span<float> data) override {
    absl::Status status = honest_->AllReduceSum(data);
    if (lie_ == "all-reduce") data[data.size() - 1] += 1;
    return status;
  }
  absl::Status AllGather(absl::Span<const uint8_t> mine, absl::Span<uint8_t> all) override {
    absl::Status status = honest_->AllGather(mine, all);
    if (lie_ == "all-gather") all[all.size() - 1] += 1;
    return status;
  }
  absl::Status ReduceScatterSum(absl::Span<const float> in, absl::Span<float> out) override {
    return honest_->ReduceScatterSum(in, out);
  }
  absl::Status AllToAll(absl::Span<const uint8_t> in, absl::Span<uint8_t> out) override {
    return honest_->AllToAll(in, out);
  }
  absl::Status Broadcast(absl::Span<uint8_t> data, int root) override {
    absl::Status status = honest_->Broadcast(data, root);
    if (lie_ == "broadcast") data[0] += 1;
    return status;
  }
  absl::Status Barrier() override { return honest_->Barrier(); }
  void Abort(absl::Status reason) override { honest_->Abort(reason); }
  void set_timeout(absl::Duration timeout) override { honest_->set_timeout(timeout); }

 private:
  Collective* const honest_;
  const std::string lie_;
};

class SelfTest : public ::testing::TestWithParam<std::string> {};

TEST_P(SelfTest, FindsACollectiveThatLies) {
  auto group = MakeInProcessGroup(2);
  absl::Status honest, liar;
  std::thread other([&] {
    honest = TestCollective(*group[1]);
    group[1].reset();  // leaves, so that nobody waits for it
  });
  LyingCollective lying(group[0].get(), GetParam());
  liar = TestCollective(lying);
  group[0]->Abort(absl::CancelledError("the test is over"));
  other.join();
  if (GetParam().empty()) {
    EXPECT_THAT(liar, IsOk());
  } else {
    EXPECT_THAT(liar, StatusIs(absl::StatusCode::kInternal, HasSubstr(GetParam())));
  }
}
INSTANTIATE_TEST_SUITE_P(Lies, SelfTest,
                         ::testing::Values("", "all-reduce", "all-gather", "broadcast"));

}  // namespace
}  // namespace facet
