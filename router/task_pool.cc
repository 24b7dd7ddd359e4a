#include "router/task_pool.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/retry_after.h"

namespace facet {

TaskPool::TaskPool(int num_threads, size_t max_queue) : max_queue_(max_queue) {
  FACET_CHECK(num_threads >= 1 && max_queue >= 1) << num_threads << ", " << max_queue;
  for (int i = 0; i < num_threads; ++i) threads_.emplace_back([this] { Work(); });
}

TaskPool::~TaskPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

absl::Status TaskPool::Run(std::function<void()> task) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (queue_.size() >= max_queue_) {
      return WithRetryAfter(
          absl::ResourceExhaustedError(
              absl::StrCat("the tokenizer's queue is full: ", queue_.size(), " requests wait")),
          absl::Milliseconds(100));
    }
    queue_.push_back(std::move(task));
  }
  changed_.notify_one();
  return absl::OkStatus();
}

void TaskPool::Work() {
  for (;;) {
    std::function<void()> task;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    task();
  }
}

}  // namespace facet
