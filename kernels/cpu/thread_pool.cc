#include "kernels/cpu/thread_pool.h"

#include <sched.h>

#include <chrono>

#include "base/log.h"

namespace facet {
namespace {

constexpr uint32_t kOpen = 1u << 31;
constexpr std::chrono::microseconds kSpin(20);

thread_local int current_thread = 0;
thread_local bool inside_task = false;

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Looks at `done` for kSpin; whether it came true.
template <typename Predicate>
bool SpinUntil(Predicate done) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
      Pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

}  // namespace

int AvailableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) {
    const int n = static_cast<int>(std::thread::hardware_concurrency());
    return n > 0 ? n : 1;
  }
  const int n = CPU_COUNT(&set);
  return n > 0 ? n : 1;
}

ThreadPool::ThreadPool(int threads) {
  FACET_CHECK(threads >= 1) << threads << " threads";
  spin_ = threads <= AvailableCores();
  workers_.reserve(threads - 1);
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { Work(i); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  loop_.fetch_add(1);
  loop_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

int ThreadPool::CurrentThread() { return current_thread; }

void ThreadPool::ParallelFor(int64_t tasks, absl::FunctionRef<void(int64_t)> task) {
  if (tasks <= 1 || workers_.empty() || inside_task) {
    for (int64_t i = 0; i < tasks; ++i) task(i);
    return;
  }
  task_ = &task;
  tasks_ = tasks;
  next_.store(0, std::memory_order_relaxed);
  const uint32_t gate = gate_.fetch_or(kOpen);
  FACET_CHECK((gate & kOpen) == 0) << "two loops at a time on one ThreadPool";
  loop_.fetch_add(1);
  if (sleepers_.load() > 0) loop_.notify_all();
  RunTasks();
  gate_.fetch_and(~kOpen);
  WaitForWorkers();
}

void ThreadPool::RunTasks() {
  inside_task = true;
  for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;) (*task_)(i);
  inside_task = false;
}

void ThreadPool::WaitForWorkers() {
  const auto empty = [this] { return gate_.load(std::memory_order_acquire) == 0; };
  if (spin_ && SpinUntil(empty)) return;
  // Asleep, this thread leaves its core to a worker that has lost its own.
  for (uint32_t gate; (gate = gate_.load(std::memory_order_acquire)) != 0;) gate_.wait(gate);
}

void ThreadPool::WaitForLoop(uint32_t seen) const {
  const auto changed = [this, seen] { return loop_.load(std::memory_order_acquire) != seen; };
  if (spin_ && SpinUntil(changed)) return;
  auto& sleepers = const_cast<std::atomic<int>&>(sleepers_);
  sleepers.fetch_add(1);
  loop_.wait(seen);
  sleepers.fetch_sub(1);
}

void ThreadPool::Work(int thread) {
  current_thread = thread;
  uint32_t seen = 0;
  for (;;) {
    WaitForLoop(seen);
    seen = loop_.load();
    if (stop_.load()) return;
    // A worker that comes late finds the gate closed and touches nothing of the loop.
    if (gate_.fetch_add(1) & kOpen) RunTasks();
    if (gate_.fetch_sub(1) == 1) gate_.notify_one();
  }
}

}  // namespace facet
