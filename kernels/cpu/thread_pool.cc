#include "kernels/cpu/thread_pool.h"

#include <sched.h>

#include <chrono>

#include "base/log.h"

namespace facet {
namespace {

constexpr uint32_t kOpen = 1u << 31;
constexpr std::chrono::microseconds kLookOut(20);

// The task that the calling thread is in: of which pool, and which of its threads.
struct Current {
  const ThreadPool* pool = nullptr;
  int thread = 0;
};
thread_local Current current;

class ScopedCurrent {
 public:
  ScopedCurrent(const ThreadPool* pool, int thread) : outer_(current) { current = {pool, thread}; }
  ~ScopedCurrent() { current = outer_; }
  ScopedCurrent(const ScopedCurrent&) = delete;
  ScopedCurrent& operator=(const ScopedCurrent&) = delete;

 private:
  const Current outer_;
};

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Asks done() for kLookOut; whether it came true.
template <typename Predicate>
bool CameTrueSoon(Predicate done) {
  const auto end = std::chrono::steady_clock::now() + kLookOut;
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
  if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  return cores > 0 ? cores : 1;
}

ThreadPool::ThreadPool(int threads) {
  FACET_CHECK(threads >= 1) << threads << " threads";
  look_out_ = threads <= AvailableCores();
  workers_.reserve(static_cast<size_t>(threads) - 1);
  for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { Work(i); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  loop_.fetch_add(1);
  loop_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

int ThreadPool::CurrentThread() { return current.thread; }

void ThreadPool::ParallelForIf(bool parallel, int64_t tasks,
                               absl::FunctionRef<void(int64_t)> task) {
  if (!parallel || tasks <= 1 || workers_.empty() || current.pool != nullptr) {
    return RunInline(tasks, task);
  }
  FACET_CHECK((gate_.load() & kOpen) == 0) << "two loops at a time on one ThreadPool";
  task_ = &task;
  tasks_ = tasks;
  next_.store(0, std::memory_order_relaxed);
  gate_.fetch_or(kOpen);
  loop_.fetch_add(1);
  loop_.notify_all();
  RunTasks(0);
  gate_.fetch_and(~kOpen);
  WaitForWorkers();
}

void ThreadPool::RunInline(int64_t tasks, absl::FunctionRef<void(int64_t)> task) {
  const ScopedCurrent scope(this, current.pool == this ? current.thread : 0);
  for (int64_t i = 0; i < tasks; ++i) task(i);
}

void ThreadPool::RunTasks(int thread) {
  const ScopedCurrent scope(this, thread);
  for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;) (*task_)(i);
}

void ThreadPool::WaitForWorkers() const {
  if (look_out_ && CameTrueSoon([this] { return gate_.load() == 0; })) return;
  // Asleep, this thread leaves its core to a worker that has lost its own.
  for (uint32_t gate; (gate = gate_.load()) != 0;) gate_.wait(gate);
}

void ThreadPool::WaitForLoop(uint32_t seen) const {
  if (look_out_ && CameTrueSoon([this, seen] { return loop_.load() != seen; })) return;
  loop_.wait(seen);
}

void ThreadPool::Work(int thread) {
  uint32_t seen = 0;
  for (;;) {
    WaitForLoop(seen);
    seen = loop_.load();
    if (stop_.load()) return;
    // A worker that comes late finds the gate closed and touches nothing of the loop.
    if (gate_.fetch_add(1) & kOpen) RunTasks(thread);
    if (gate_.fetch_sub(1) == 1) gate_.notify_one();
  }
}

}  // namespace facet
