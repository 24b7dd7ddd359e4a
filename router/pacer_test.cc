#include "router/pacer.h"

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "router/testing/wait_for.h"

namespace facet {
namespace {

using testing::WaitFor;

TEST(PacerTest, IsOffWithoutAnInterval) {
  EXPECT_FALSE(Pacer(absl::ZeroDuration()).on());
  EXPECT_TRUE(Pacer(absl::Milliseconds(1)).on());
}

TEST(PacerTest, EverybodyGoesOnOnceThoughManyThreadsWaitAndWaitAgain) {
  constexpr int kThreads = 4, kRounds = 200;
  std::atomic<int> gone_on{0};
  Pacer pacer(absl::Milliseconds(1));
  // From within its turn, too, one may wait for the next.
  std::function<void(int)> wait = [&](int rounds) {
    pacer.Wait([&, rounds] {
      ++gone_on;
      if (rounds > 1) wait(rounds - 1);
    });
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      wait(10);
      for (int round = 10; round < kRounds; ++round) pacer.Wait([&] { ++gone_on; });
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(WaitFor([&] { return gone_on == kThreads * kRounds; }));
}

TEST(PacerTest, WhoWaitsWhenItEndsIsNotCalled) {
  std::atomic<bool> called{false};
  {
    Pacer pacer(absl::Hours(1));
    pacer.Wait([&] { called = true; });
  }
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace facet
