#ifndef FACET_KERNELS_CPU_THREAD_POOL_H_
#define FACET_KERNELS_CPU_THREAD_POOL_H_

// The compute threads of one CpuBackend.

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"

namespace facet {

// Number of cores this process may run on (its affinity mask), at least 1.
int AvailableCores();

// Runs loops of independent tasks on a fixed set of threads, the caller's own included.
//
// Tasks are dealt one by one from a shared counter, never as a fixed share, so that a thread which
// loses its core to another process delays only the task it is in: make tasks small (20 to 200 us).
// Between loops a worker looks out for the next one for kSpin at most and then sleeps; it does not
// spin at all when there are more threads than cores.
//
// Thread-compatible: one loop at a time. A loop started from inside a task runs inline.
class ThreadPool {
 public:
  // `threads` >= 1 counts the caller; threads == 1 creates none.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls task(0) .. task(tasks - 1), each once, in any order and on any thread; returns when all
  // are done. What the tasks wrote is visible to the caller.
  void ParallelFor(int64_t tasks, absl::FunctionRef<void(int64_t)> task);

  // The same, on the calling thread alone unless `parallel`: for loops too short to share.
  void ParallelForIf(bool parallel, int64_t tasks, absl::FunctionRef<void(int64_t)> task) {
    if (parallel) return ParallelFor(tasks, task);
    for (int64_t i = 0; i < tasks; ++i) task(i);
  }

  // Which thread of its pool the caller is, in [0, threads()): for scratch memory. 0 outside.
  static int CurrentThread();

 private:
  void Work(int thread);
  void RunTasks();
  void WaitForLoop(uint32_t seen) const;
  void WaitForWorkers();

  // The loop at hand. Written while the gate is closed and empty, read only by threads inside it.
  const absl::FunctionRef<void(int64_t)>* task_ = nullptr;
  int64_t tasks_ = 0;
  std::atomic<int64_t> next_{0};

  // kOpen while a loop runs, plus the number of workers that are looking at it.
  alignas(64) std::atomic<uint32_t> gate_{0};
  // Counts loops; sleeping workers wait for it to change.
  alignas(64) std::atomic<uint32_t> loop_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  bool spin_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace facet

#endif  // FACET_KERNELS_CPU_THREAD_POOL_H_
