#ifndef FACET_SERVICES_ENCODER_BATCH_QUEUE_H_
#define FACET_SERVICES_ENCODER_BATCH_QUEUE_H_

// Work from many calls, done in batches by one thread: an encoder's network runs one batch at a
// time.

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/retry_after.h"

namespace facet {

// Item: what a call brings, several of which make a batch; Result: what becomes of one.
//
// Order: first come, first served. A batch holds the next items, as many as come to at most
// `max_batch_cost` together, and at least one. Thread-safe.
template <typename Item, typename Result>
class BatchQueue {
 public:
  struct Options {
    int max_waiting = 256;
    int64_t max_batch_cost = 1;
  };
  // One result an item, in order; a failure of the whole batch is that of each of its items.
  using Run = std::function<absl::StatusOr<std::vector<Result>>(absl::Span<const Item>)>;
  // Called once for each call, from the batch thread; must not block.
  using Done = std::function<void(absl::StatusOr<std::vector<Result>>)>;

  BatchQueue(const Options& options, Run run)
      : options_(options), run_(std::move(run)), thread_([this] { Work(); }) {}

  // Those that wait get Unavailable.
  ~BatchQueue() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  BatchQueue(const BatchQueue&) = delete;
  BatchQueue& operator=(const BatchQueue&) = delete;

  // The items of one call, which come back together. `done` gets DeadlineExceeded if the deadline
  // passes before they have been begun. ResourceExhausted, and no call of `done`, if the queue is
  // full.
  absl::Status Submit(std::vector<Item> items, int64_t cost, absl::Time deadline, Done done) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (stopping_) return absl::UnavailableError("the encoder is stopping");
      if (static_cast<int>(waiting_.size()) >= options_.max_waiting) {
        return WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat(
                                  "the queue of the encoder is full: ", waiting_.size(),
                                  " calls wait, at most ", options_.max_waiting)),
                              std::max(last_batch_, absl::Milliseconds(100)));
      }
      waiting_.push_back({std::move(items), cost, deadline, std::move(done)});
    }
    changed_.notify_all();
    return absl::OkStatus();
  }

  int waiting() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return static_cast<int>(waiting_.size());
  }

 private:
  struct Call {
    std::vector<Item> items;
    int64_t cost = 0;
    absl::Time deadline;
    Done done;
  };

  void Work() {
    for (std::vector<Call> batch = TakeBatch(); !batch.empty(); batch = TakeBatch()) {
      const absl::Time begin = absl::Now();
      RunBatch(batch);
      std::lock_guard<std::mutex> lock(mutex_);
      last_batch_ = absl::Now() - begin;
    }
    std::lock_guard<std::mutex> lock(mutex_);
    for (Call& call : waiting_) call.done(absl::UnavailableError("the encoder is stopping"));
    waiting_.clear();
  }

  // Empty: the end.
  std::vector<Call> TakeBatch() {
    std::vector<Call> batch, expired;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      while (batch.empty()) {
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_) break;
        int64_t cost = 0;
        while (!waiting_.empty() &&
               (batch.empty() || cost + waiting_.front().cost <= options_.max_batch_cost)) {
          Call call = std::move(waiting_.front());
          waiting_.pop_front();
          if (call.deadline <= absl::Now()) {
            expired.push_back(std::move(call));
            if (batch.empty()) break;  // tell it before the wait for others
            continue;
          }
          cost += call.cost;
          batch.push_back(std::move(call));
        }
        if (batch.empty() && !expired.empty()) {
          lock.unlock();
          Expire(expired);
          lock.lock();
        }
      }
    }
    Expire(expired);
    return batch;
  }

  static void Expire(std::vector<Call>& calls) {
    for (Call& call : calls) {
      call.done(absl::DeadlineExceededError("the deadline passed in the encoder's queue"));
    }
    calls.clear();
  }

  void RunBatch(std::vector<Call>& batch) {
    std::vector<Item> items;
    for (Call& call : batch) {
      items.insert(items.end(), std::make_move_iterator(call.items.begin()),
                   std::make_move_iterator(call.items.end()));
    }
    absl::StatusOr<std::vector<Result>> results = run_(items);
    size_t next = 0;
    for (Call& call : batch) {
      if (!results.ok()) {
        call.done(results.status());
        continue;
      }
      std::vector<Result> own;
      for (size_t i = 0; i < call.items.size(); ++i) own.push_back(std::move((*results)[next++]));
      call.done(std::move(own));
    }
  }

  const Options options_;
  const Run run_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Call> waiting_;
  bool stopping_ = false;
  absl::Duration last_batch_;
  std::thread thread_;  // last: uses all of the above
};

}  // namespace facet

#endif  // FACET_SERVICES_ENCODER_BATCH_QUEUE_H_
