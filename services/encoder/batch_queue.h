#ifndef FACET_SERVICES_ENCODER_BATCH_QUEUE_H_
#define FACET_SERVICES_ENCODER_BATCH_QUEUE_H_

// Work from many calls, done in batches by one thread: an encoder's network runs one batch at a
// time.

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/encoder/still_wanted.h"

namespace facet {

// Item: a piece of work, several of which make a batch; Result: what becomes of one.
//
// Order: first come, first served. A batch holds the next items, as many as come to at most
// `max_batch_cost` together, and at least one; the items of one call may fall into several batches.
// How much may wait is for the caller to bound. Thread-safe.
template <typename Item, typename Result>
class BatchQueue {
 public:
  struct Costed {
    Item item;
    int64_t cost = 1;
  };
  // One result an item, in order; a failure of the whole batch is that of each of its calls. From
  // the batch thread.
  using Run = std::function<absl::StatusOr<std::vector<Result>>(absl::Span<const Item>)>;
  // Once for each call, from the batch thread; must not block.
  using Done = std::function<void(absl::StatusOr<std::vector<Result>>)>;

  BatchQueue(int64_t max_batch_cost, Run run)
      : max_batch_cost_(max_batch_cost), run_(std::move(run)), thread_([this] { Work(); }) {}

  // Calls that wait get Unavailable.
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

  // The items of one call, at least one, whose results come back together. `still_wanted` is asked
  // before an item is begun; what it says ends the call.
  void Submit(std::vector<Costed> items, StillWanted still_wanted, Done done) {
    auto call = std::make_shared<Call>();
    call->results.resize(items.size());
    call->left = items.size();
    call->still_wanted = std::move(still_wanted);
    call->done = std::move(done);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      for (size_t i = 0; i < items.size(); ++i) waiting_.push_back({call, i, std::move(items[i])});
    }
    changed_.notify_all();
  }

  // Items that wait.
  int waiting() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return static_cast<int>(waiting_.size());
  }

 private:
  // Only the batch thread touches it once it is queued.
  struct Call {
    std::vector<Result> results;
    size_t left = 0;  // results that are missing; 0: `done` has been called
    StillWanted still_wanted;
    Done done;

    void End(absl::StatusOr<std::vector<Result>> outcome) {
      if (left == 0) return;
      left = 0;
      done(std::move(outcome));
    }
  };
  struct Waiting {
    std::shared_ptr<Call> call;
    size_t index = 0;  // of the item in its call
    Costed work;
  };

  void Work() {
    for (std::vector<Waiting> batch = TakeBatch(); !batch.empty(); batch = TakeBatch()) {
      RunBatch(batch);
    }
    for (const Waiting& item : waiting_) {
      item.call->End(absl::UnavailableError("the encoder is stopping"));
    }
  }

  // Empty: the end.
  std::vector<Waiting> TakeBatch() {
    std::vector<Waiting> batch;
    int64_t cost = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      if (batch.empty()) changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) {  // what has been taken fails like the rest
        for (Waiting& item : batch) waiting_.push_back(std::move(item));
        return {};
      }
      if (waiting_.empty()) return batch;
      if (!batch.empty() && cost + waiting_.front().work.cost > max_batch_cost_) return batch;
      Waiting next = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      if (StillRuns(*next.call)) {
        cost += next.work.cost;
        batch.push_back(std::move(next));
      }
      lock.lock();
    }
  }

  // False if the call has ended, or nobody waits for it, of which it is told.
  static bool StillRuns(Call& call) {
    if (call.left == 0) return false;
    if (absl::Status wanted = call.still_wanted(); !wanted.ok()) call.End(std::move(wanted));
    return call.left > 0;
  }

  void RunBatch(std::vector<Waiting>& batch) {
    std::vector<Item> items;
    for (Waiting& item : batch) items.push_back(std::move(item.work.item));
    absl::StatusOr<std::vector<Result>> results = run_(items);
    for (size_t i = 0; i < batch.size(); ++i) {
      Call& call = *batch[i].call;
      if (!results.ok()) {
        call.End(results.status());
      } else if (call.left > 0) {
        call.results[batch[i].index] = std::move((*results)[i]);
        if (call.left == 1) call.End(std::move(call.results));
        if (call.left > 1) --call.left;
      }
    }
  }

  const int64_t max_batch_cost_;
  const Run run_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;
  bool stopping_ = false;
  std::thread thread_;  // last: uses all of the above
};

}  // namespace facet

#endif  // FACET_SERVICES_ENCODER_BATCH_QUEUE_H_
