#ifndef FACET_SHARD_COLLECTIVE_TESTING_WATCHDOG_H_
#define FACET_SHARD_COLLECTIVE_TESTING_WATCHDOG_H_

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/log.h"

namespace facet {

// Ends the process if it is not destroyed in time: a test that hangs says so.
class Watchdog {
 public:
  explicit Watchdog(std::chrono::seconds limit)
      : thread_([this, limit] {
          std::unique_lock<std::mutex> lock(mutex_);
          const bool done = changed_.wait_for(lock, limit, [this] { return done_; });
          FACET_CHECK(done) << "the test hangs: not done after " << limit.count() << " s";
        }) {}
  ~Watchdog() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_TESTING_WATCHDOG_H_
