#include "router/media/replica_choice.h"

#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

const absl::Time kStart = absl::UnixEpoch() + absl::Hours(1);

std::vector<size_t> Picks(ReplicaChoice& choice, int count, absl::Time now) {
  std::vector<size_t> out;
  for (int i = 0; i < count; ++i) out.push_back(choice.Pick(now));
  return out;
}

TEST(ReplicaChoiceTest, AllAreAskedInTurn) {
  ReplicaChoice choice(3);
  EXPECT_THAT(Picks(choice, 7, kStart), ElementsAre(0, 1, 2, 0, 1, 2, 0));
}

TEST(ReplicaChoiceTest, OneThatFailedIsPassedByAndThenTriedByOneCall) {
  ReplicaChoice choice(2);
  choice.Failed(0, kStart);
  EXPECT_THAT(Picks(choice, 100, kStart + absl::Milliseconds(249)), Each(1));
  const absl::Time later = kStart + absl::Milliseconds(250);
  const std::vector<size_t> picks = Picks(choice, 100, later);
  EXPECT_EQ(std::count(picks.begin(), picks.end(), 0), 1);
}

TEST(ReplicaChoiceTest, AfterASuccessItTakesPartAgain) {
  ReplicaChoice choice(2);
  choice.Failed(1, kStart);
  choice.Succeeded(1);
  EXPECT_THAT(Picks(choice, 4, kStart), ElementsAre(0, 1, 0, 1));
}

TEST(ReplicaChoiceTest, PausesDoubleUpToTheLongest) {
  ReplicaChoice choice(2);
  absl::Time now = kStart;
  for (const int64_t ms : {250, 500, 1000, 2000, 4000, 8000, 10000, 10000}) {
    choice.Failed(0, now);
    EXPECT_THAT(Picks(choice, 3, now + absl::Milliseconds(ms - 1)), Each(1)) << ms;
    now += absl::Milliseconds(ms);
    const std::vector<size_t> picks = Picks(choice, 2, now);
    EXPECT_EQ(std::count(picks.begin(), picks.end(), 0), 1) << ms;
  }
}

TEST(ReplicaChoiceTest, CallsThatFailTogetherAreOneFailure) {
  ReplicaChoice choice(2);
  for (int i = 0; i < 50; ++i) choice.Failed(0, kStart + absl::Milliseconds(i));
  EXPECT_THAT(Picks(choice, 2, kStart + absl::Milliseconds(250)), testing::Contains(0));
}

TEST(ReplicaChoiceTest, ASecondTryIsOnAnotherOne) {
  ReplicaChoice choice(2);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(choice.Pick(kStart, 0), 1);
  choice.Failed(1, kStart);
  EXPECT_EQ(choice.Pick(kStart, 0), 1);  // still better than the one that has just failed
  ReplicaChoice single(1);
  EXPECT_EQ(single.Pick(kStart, 0), 0);
}

TEST(ReplicaChoiceTest, WhereAllFailedTheOneWhoseTimeComesFirstIsAsked) {
  ReplicaChoice choice(2);
  choice.Failed(1, kStart);
  choice.Failed(0, kStart + absl::Milliseconds(10));
  EXPECT_EQ(choice.Pick(kStart + absl::Milliseconds(20)), 1);
}

}  // namespace
}  // namespace facet
