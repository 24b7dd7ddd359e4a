#include "kernels/cpu/thread_pool.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace facet {
namespace {

class ThreadPoolTest : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolTest, CallsEachTaskOnceAndShowsItsWritesToTheCaller) {
  ThreadPool pool(GetParam());
  for (int64_t tasks : {0, 1, 2, 3, 7, 64, 1000}) {
    std::vector<int> calls(static_cast<size_t>(tasks), 0);  // plain ints: a lost fence is a race
    pool.ParallelFor(tasks, [&](int64_t i) { ++calls[static_cast<size_t>(i)]; });
    EXPECT_EQ(calls, std::vector<int>(static_cast<size_t>(tasks), 1)) << tasks;
  }
}

TEST_P(ThreadPoolTest, RunsManyShortLoopsWithoutMixingThem) {
  ThreadPool pool(GetParam());
  for (int64_t loop = 0; loop < 5000; ++loop) {
    std::atomic<int64_t> sum{0};
    const int64_t tasks = 1 + loop % 9;
    pool.ParallelFor(tasks, [&](int64_t i) { sum.fetch_add(loop * 100 + i); });
    ASSERT_EQ(sum.load(), tasks * loop * 100 + tasks * (tasks - 1) / 2) << loop;
  }
}

TEST_P(ThreadPoolTest, RunsALoopFromInsideATaskOnThatThread) {
  ThreadPool pool(GetParam());
  std::vector<int> inner(40 * 5, 0);
  pool.ParallelFor(40, [&](int64_t i) {
    const auto thread = std::this_thread::get_id();
    const int number = ThreadPool::CurrentThread();
    pool.ParallelFor(5, [&](int64_t j) {
      EXPECT_EQ(std::this_thread::get_id(), thread);
      EXPECT_EQ(ThreadPool::CurrentThread(), number);
      ++inner[static_cast<size_t>(i * 5 + j)];
    });
  });
  EXPECT_EQ(inner, std::vector<int>(inner.size(), 1));
}

TEST_P(ThreadPoolTest, NumbersItsThreadsFromZero) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  EXPECT_EQ(ThreadPool::CurrentThread(), 0);
  std::atomic<bool> in_range{true};
  pool.ParallelFor(500, [&](int64_t) {
    const int thread = ThreadPool::CurrentThread();
    if (thread < 0 || thread >= GetParam()) in_range = false;
  });
  EXPECT_TRUE(in_range);
}

TEST_P(ThreadPoolTest, EndsWhetherOrNotItRanALoop) {
  for (int i = 0; i < 50; ++i) {
    ThreadPool pool(GetParam());
    if (i % 2 == 0) pool.ParallelFor(3, [](int64_t) {});
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 3, 8),
                         [](const auto& info) { return std::to_string(info.param); });

TEST(ThreadPoolThreadsTest, UsesAllThreadsAtOnce) {
  // Every task waits until all have begun, which takes as many threads as tasks.
  constexpr int kThreads = 4;
  ThreadPool pool(kThreads);
  for (int loop = 0; loop < 20; ++loop) {
    std::mutex mutex;
    std::condition_variable all_here;
    int here = 0;
    std::atomic<int> met{0};
    pool.ParallelFor(kThreads, [&](int64_t) {
      std::unique_lock<std::mutex> lock(mutex);
      if (++here == kThreads) all_here.notify_all();
      if (all_here.wait_for(lock, std::chrono::seconds(20), [&] { return here == kThreads; })) {
        ++met;
      }
    });
    ASSERT_EQ(met.load(), kThreads);
  }
}

TEST(ThreadPoolThreadsTest, GivesATaskOfAnotherPoolThreadZeroOfTheInnerOne) {
  ThreadPool outer(4), inner(2);
  std::mutex one_loop_at_a_time;
  std::atomic<int> wrong{0};
  outer.ParallelFor(64, [&](int64_t) {
    std::lock_guard<std::mutex> lock(one_loop_at_a_time);
    inner.ParallelFor(3, [&](int64_t) {
      if (ThreadPool::CurrentThread() != 0) ++wrong;
    });
  });
  EXPECT_EQ(wrong.load(), 0);
}

TEST(ThreadPoolThreadsTest, DealsTasksToWhoeverIsFree) {
  // One task blocks until all others are done: with fixed shares its thread's other tasks, and so
  // the loop, would never end.
  ThreadPool pool(2);
  constexpr int64_t kTasks = 100;
  std::mutex mutex;
  std::condition_variable changed;
  int64_t done = 0;
  bool saw_all = false;
  pool.ParallelFor(kTasks, [&](int64_t i) {
    std::unique_lock<std::mutex> lock(mutex);
    if (i == 0) {
      saw_all =
          changed.wait_for(lock, std::chrono::seconds(20), [&] { return done == kTasks - 1; });
    } else {
      ++done;
      changed.notify_all();
    }
  });
  EXPECT_TRUE(saw_all);
}

double ProcessCpuSeconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

TEST(ThreadPoolThreadsTest, UsesNoCpuTimeWhileIdle) {
  ThreadPool pool(8);
  pool.ParallelFor(100, [](int64_t) {});
  const double before = ProcessCpuSeconds();
  // The measured thing is what happens while nothing is asked for, so this test must let time pass.
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_LE(ProcessCpuSeconds() - before, 0.05);
}

TEST(ThreadPoolThreadsTest, ForShortLoopsStaysOnTheCallersThread) {
  ThreadPool pool(4);
  const auto caller = std::this_thread::get_id();
  int calls = 0;
  pool.ParallelForIf(false, 100, [&](int64_t) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    ++calls;
  });
  EXPECT_EQ(calls, 100);
}

TEST(AvailableCoresTest, IsAtLeastOne) { EXPECT_GE(AvailableCores(), 1); }

}  // namespace
}  // namespace facet
