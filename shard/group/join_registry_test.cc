#include "shard/group/join_registry.h"

#include <atomic>
#include <thread>

#include "absl/time/clock.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;
using testing::StatusIs;

RankIdentity Rank(int rank, int world_size = 3) {
  RankIdentity identity;
  identity.rank = rank;
  identity.world_size = world_size;
  identity.fingerprint = "f00d";
  identity.settings = "dtype=f32 page_tokens=16";
  identity.build = "b1";
  identity.host = "here";
  return identity;
}

bool Alive() { return false; }

// Ranks that ask on threads of their own.
class Asking {
 public:
  Asking(JoinRegistry& registry, RankIdentity rank)
      : thread_([this, &registry, rank] {
          result_ = registry.Join(rank, [this] { return gone_.load(); });
        }) {}
  ~Asking() {
    if (thread_.joinable()) thread_.join();
  }
  void Die() { gone_ = true; }
  absl::StatusOr<GroupLink> Result() {
    thread_.join();
    return result_;
  }

 private:
  std::atomic<bool> gone_{false};
  absl::StatusOr<GroupLink> result_ = absl::UnknownError("not asked yet");
  std::thread thread_;
};

absl::Time Soon() { return absl::Now() + absl::Milliseconds(100); }
absl::Time Late() { return absl::Now() + absl::Seconds(30); }

TEST(JoinRegistryTest, CompletesWhenAllRanksHaveJoined) {
  JoinRegistry registry(Rank(0), Transport::kAuto, "/segment");
  Asking one(registry, Rank(1)), two(registry, Rank(2));
  const auto link = registry.WaitForAll(Late());
  ASSERT_THAT(link, IsOk());
  EXPECT_EQ(link->transport, Transport::kShm);
  EXPECT_EQ(link->shm_segment, "/segment");
  for (Asking* rank : {&one, &two}) {
    const auto theirs = rank->Result();
    ASSERT_THAT(theirs, IsOk());
    EXPECT_EQ(theirs->shm_segment, "/segment");
  }
}

TEST(JoinRegistryTest, AGroupOfOneNeedsNobody) {
  JoinRegistry registry(Rank(0, 1), Transport::kAuto, "/segment");
  EXPECT_THAT(registry.WaitForAll(absl::Now()), IsOk());
}

TEST(JoinRegistryTest, NamesTheMissingRanksOnAllSides) {
  JoinRegistry registry(Rank(0, 4), Transport::kAuto, "/segment");
  Asking two(registry, Rank(2, 4));
  const auto missing = AllOf(HasSubstr("ranks 1, 3 of 4"), Not(HasSubstr("2,")));
  EXPECT_THAT(registry.WaitForAll(Soon()), StatusIs(absl::StatusCode::kDeadlineExceeded, missing));
  EXPECT_THAT(two.Result(), StatusIs(absl::StatusCode::kDeadlineExceeded, missing));
  EXPECT_THAT(registry.Join(Rank(1, 4), Alive),
              StatusIs(absl::StatusCode::kDeadlineExceeded, missing));
}

struct MismatchCase {
  std::string name;
  std::function<void(RankIdentity&)> change;
  absl::StatusCode code;
  std::string message;
};
class MismatchTest : public ::testing::TestWithParam<MismatchCase> {};

TEST_P(MismatchTest, FailsTheGroupOnAllSidesWithTheReason) {
  JoinRegistry registry(Rank(0), Transport::kAuto, "/segment");
  Asking one(registry, Rank(1));
  RankIdentity wrong = Rank(2);
  GetParam().change(wrong);
  const auto refused = StatusIs(GetParam().code, HasSubstr(GetParam().message));
  EXPECT_THAT(registry.Join(wrong, Alive), refused);
  EXPECT_THAT(registry.WaitForAll(Late()), refused);
  EXPECT_THAT(one.Result(), StatusIs(GetParam().code));
}
INSTANTIATE_TEST_SUITE_P(
    Of, MismatchTest,
    ::testing::ValuesIn(std::vector<MismatchCase>{
        {"world_size", [](auto& r) { r.world_size = 4; }, absl::StatusCode::kFailedPrecondition,
         "rank 2 cannot join: its world size is 4, the leader's is 3"},
        {"checkpoint", [](auto& r) { r.fingerprint = "bad"; },
         absl::StatusCode::kFailedPrecondition, "fingerprint bad, the leader's has f00d"},
        {"settings", [](auto& r) { r.settings = "dtype=f32 page_tokens=32 x=1"; },
         absl::StatusCode::kFailedPrecondition,
         "settings differ: page_tokens is 32, the leader's is 16; x is 1, the leader's is (none)"},
        {"build", [](auto& r) { r.build = "b2"; }, absl::StatusCode::kFailedPrecondition,
         "build is b2, the leader's is b1"},
        {"rank_too_high", [](auto& r) { r.rank = 3; }, absl::StatusCode::kInvalidArgument,
         "rank 3 cannot join: ranks are 1 to 2"},
        {"a_second_leader", [](auto& r) { r.rank = 0; }, absl::StatusCode::kInvalidArgument,
         "rank 0 cannot join"},
        {"negative", [](auto& r) { r.rank = -1; }, absl::StatusCode::kInvalidArgument, "rank -1"},
    }),
    [](const auto& info) { return info.param.name; });

// Waits until `rank` is on the list: a third process of that rank is told so.
void WaitUntilJoined(JoinRegistry& registry, int rank) {
  while (!absl::IsAlreadyExists(registry.Join(Rank(rank), [] { return true; }).status())) {
    std::this_thread::yield();
  }
}

TEST(JoinRegistryTest, RefusesASecondProcessOfARankThatLives) {
  JoinRegistry registry(Rank(0), Transport::kAuto, "/segment");
  Asking one(registry, Rank(1));
  WaitUntilJoined(registry, 1);
  EXPECT_THAT(registry.Join(Rank(1), Alive),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("rank 1")));
  Asking two(registry, Rank(2));
  EXPECT_THAT(registry.WaitForAll(Late()), IsOk());  // the first one was not disturbed
  EXPECT_THAT(one.Result(), IsOk());
}

TEST(JoinRegistryTest, ARankThatDiedCanJoinAnew) {
  JoinRegistry registry(Rank(0), Transport::kAuto, "/segment");
  auto first = std::make_unique<Asking>(registry, Rank(1));
  WaitUntilJoined(registry, 1);
  first->Die();
  Asking second(registry, Rank(1)), two(registry, Rank(2));
  EXPECT_THAT(registry.WaitForAll(Late()), IsOk());
  EXPECT_THAT(first->Result(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(second.Result(), IsOk());
}

TEST(JoinRegistryTest, ARankThatDiedAndStaysAwayIsMissing) {
  JoinRegistry registry(Rank(0, 2), Transport::kAuto, "/segment");
  auto one = std::make_unique<Asking>(registry, Rank(1, 2));
  one->Die();
  EXPECT_THAT(one->Result(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(registry.WaitForAll(Soon()),
              StatusIs(absl::StatusCode::kDeadlineExceeded, HasSubstr("rank 1 of 2 has")));
}

TEST(JoinRegistryTest, ALatecomerIsToldToComeBack) {
  JoinRegistry registry(Rank(0, 2), Transport::kAuto, "/segment");
  Asking one(registry, Rank(1, 2));
  ASSERT_THAT(registry.WaitForAll(Late()), IsOk());
  EXPECT_THAT(registry.Join(Rank(1, 2), Alive),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("the group is complete")));
}

TEST(JoinRegistryTest, AFailureReachesAllSides) {
  JoinRegistry registry(Rank(0), Transport::kAuto, "/segment");
  Asking one(registry, Rank(1));
  registry.Fail(absl::UnavailableError("the leader stops"));
  EXPECT_THAT(registry.WaitForAll(Late()), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(one.Result(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("leader stops")));
}

struct TransportCase {
  std::string name;
  Transport wanted;
  std::string host_of_rank_1;
  absl::StatusCode code;
  Transport chosen;
};
class TransportTest : public ::testing::TestWithParam<TransportCase> {};

TEST_P(TransportTest, IsChosenByHost) {
  const TransportCase& c = GetParam();
  JoinRegistry registry(Rank(0, 2), c.wanted, "/segment");
  RankIdentity rank = Rank(1, 2);
  rank.host = c.host_of_rank_1;
  Asking one(registry, rank);
  const auto link = registry.WaitForAll(Late());
  EXPECT_THAT(link, StatusIs(c.code));
  if (link.ok()) {
    EXPECT_EQ(link->transport, c.chosen);
  }
  EXPECT_THAT(one.Result(), StatusIs(c.code));
}
INSTANTIATE_TEST_SUITE_P(
    All, TransportTest,
    ::testing::ValuesIn(std::vector<TransportCase>{
        {"auto_same", Transport::kAuto, "here", absl::StatusCode::kOk, Transport::kShm},
        {"auto_other", Transport::kAuto, "there", absl::StatusCode::kOk, Transport::kGloo},
        {"shm_same", Transport::kShm, "here", absl::StatusCode::kOk, Transport::kShm},
        {"shm_other", Transport::kShm, "there", absl::StatusCode::kFailedPrecondition,
         Transport::kShm},
        {"gloo_same", Transport::kGloo, "here", absl::StatusCode::kOk, Transport::kGloo},
    }),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace facet
