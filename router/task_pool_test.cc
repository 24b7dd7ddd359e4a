#include "router/task_pool.h"

#include <atomic>
#include <future>
#include <memory>
#include <vector>

#include "base/retry_after.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using testing::IsOk;
using testing::StatusIs;

TEST(TaskPoolTest, RunsEveryTaskBeforeItEnds) {
  std::atomic<int> ran{0};
  {
    TaskPool pool(3, 1000);
    for (int i = 0; i < 1000; ++i) ASSERT_THAT(pool.Run([&] { ++ran; }), IsOk());
  }
  EXPECT_EQ(ran, 1000);
}

TEST(TaskPoolTest, RefusesWhenItsQueueIsFull) {
  std::promise<void> go;
  std::shared_future<void> gate = go.get_future().share();
  std::promise<void> began;
  std::atomic<int> ran{0};
  {
    TaskPool pool(1, 2);
    ASSERT_THAT(pool.Run([&] {
      began.set_value();
      gate.wait();
      ++ran;
    }),
                IsOk());
    began.get_future().wait();  // it is in no queue any more
    EXPECT_THAT(pool.Run([&] { ++ran; }), IsOk());
    EXPECT_THAT(pool.Run([&] { ++ran; }), IsOk());
    const absl::Status refused = pool.Run([&] { ran += 100; });
    EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted));
    EXPECT_TRUE(RetryAfter(refused).has_value());
    go.set_value();
  }
  EXPECT_EQ(ran, 3);
}

TEST(TaskPoolTest, TasksOfOneThreadRunInOrder) {
  std::vector<int> order;
  {
    TaskPool pool(1, 100);
    for (int i = 0; i < 100; ++i)
      ASSERT_THAT(pool.Run([&order, i] { order.push_back(i); }), IsOk());
  }
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

}  // namespace
}  // namespace facet
