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
// Between loops a worker looks out for the next one for some 20 us and then sleeps; it does not
// look out at all when there are more threads than cores.
//
// Thread-compatible: one loop at a time. A loop that is started from inside a task, of this pool or
// another, runs on the thread it is started from.
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
  void ParallelFor(int64_t tasks, absl::FunctionRef<void(int64_t)> task) {
    ParallelForIf(true, tasks, task);
  }

  // The same, on the calling thread alone unless `parallel`: for loops too short to share.
  void ParallelForIf(bool parallel, int64_t tasks, absl::FunctionRef<void(int64_t)> task);

  // Within a task: which of its pool's threads runs it, in [0, threads()); for scratch memory.
  static int CurrentThread();

 private:
  void Work(int thread);
  void RunTasks(int thread);
  void RunInline(int64_t tasks, absl::FunctionRef<void(int64_t)> task);
  void WaitForLoop(uint32_t seen) const;
  void WaitForWorkers() const;

  // The loop at hand. Written while the gate is closed and no worker inside, read only by workers
  // that found it open.
  const absl::FunctionRef<void(int64_t)>* task_ = nullptr;
  int64_t tasks_ = 0;
  std::atomic<int64_t> next_{0};

  // kOpen while a loop deals tasks, plus the number of workers that passed.
  alignas(64) std::atomic<uint32_t> gate_{0};
  // Counts loops; sleeping workers wait for it to change.
  alignas(64) std::atomic<uint32_t> loop_{0};
  std::atomic<bool> stop_{false};
  bool look_out_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace facet

#endif  // FACET_KERNELS_CPU_THREAD_POOL_H_
