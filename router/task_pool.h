#ifndef FACET_ROUTER_TASK_POOL_H_
#define FACET_ROUTER_TASK_POOL_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"

namespace facet {

// Threads for what takes a core for a while (tokenizing a long prompt), so that the threads which
// move messages never wait for it.
//
// Thread-safe.
class TaskPool {
 public:
  // Both >= 1. At most `max_queue` tasks wait.
  TaskPool(int num_threads, size_t max_queue);
  // Runs what is queued, then ends.
  ~TaskPool();
  TaskPool(const TaskPool&) = delete;
  TaskPool& operator=(const TaskPool&) = delete;

  // Queues a task, first in first out. ResourceExhausted, with a time to come again, when the queue
  // is full; the task is then not run.
  absl::Status Run(std::function<void()> task);

 private:
  void Work();

  const size_t max_queue_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace facet

#endif  // FACET_ROUTER_TASK_POOL_H_
