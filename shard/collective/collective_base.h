#ifndef FACET_SHARD_COLLECTIVE_COLLECTIVE_BASE_H_
#define FACET_SHARD_COLLECTIVE_COLLECTIVE_BASE_H_

// The part of a Collective that does not depend on the transport: argument checks, the timeout, and
// the rule that the first error breaks the group.

#include <atomic>
#include <cstdint>
#include <mutex>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "shard/collective/collective.h"
#include "shard/collective/operation.h"

namespace facet {

class CollectiveBase : public Collective {
 public:
  int rank() const final { return rank_; }
  int world_size() const final { return world_size_; }

  absl::Status AllReduceSum(absl::Span<float> data) final;
  absl::Status AllGather(absl::Span<const uint8_t> mine, absl::Span<uint8_t> all) final;
  absl::Status ReduceScatterSum(absl::Span<const float> in, absl::Span<float> out) final;
  absl::Status AllToAll(absl::Span<const uint8_t> in, absl::Span<uint8_t> out) final;
  absl::Status Broadcast(absl::Span<uint8_t> data, int root) final;
  absl::Status Barrier() final;

  void Abort(absl::Status reason) final;
  void set_timeout(absl::Duration timeout) final;

 protected:
  // Requires 0 <= rank < world_size.
  CollectiveBase(int rank, int world_size, absl::Duration timeout);

  // The operations themselves. Arguments have been checked, and the group was whole a moment ago.
  // What they return other than OK breaks the group.
  virtual absl::Status DoAllReduceSum(const Call& call, absl::Span<float> data) = 0;
  virtual absl::Status DoAllGather(const Call& call, absl::Span<const uint8_t> mine,
                                   absl::Span<uint8_t> all) = 0;
  virtual absl::Status DoReduceScatterSum(const Call& call, absl::Span<const float> in,
                                          absl::Span<float> out) = 0;
  virtual absl::Status DoAllToAll(const Call& call, absl::Span<const uint8_t> in,
                                  absl::Span<uint8_t> out) = 0;
  virtual absl::Status DoBroadcast(const Call& call, absl::Span<uint8_t> data) = 0;
  virtual absl::Status DoBarrier(const Call& call) = 0;

  // Called once, on the thread that broke the group and after broken() became true: wake a waiting
  // operation of this rank, tell the peers. `aborted` if the reason came through Abort().
  virtual void OnBroken(const absl::Status& reason, bool aborted) = 0;

  bool broken() const { return broken_.load(std::memory_order_acquire); }
  // OK while the group is whole.
  absl::Status first_error() const;

 private:
  // Runs `body` unless `arguments` or the group is bad already.
  absl::Status Run(const Operation& op, const absl::Status& arguments,
                   absl::FunctionRef<absl::Status(const Call&)> body);
  // Keeps `reason` if it is the first one; returns the first one.
  absl::Status Break(const absl::Status& reason, bool aborted);

  const int rank_;
  const int world_size_;
  std::atomic<int64_t> timeout_ns_;
  std::atomic<bool> broken_{false};
  mutable std::mutex mutex_;
  absl::Status first_error_;  // guarded by mutex_
};

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_COLLECTIVE_BASE_H_
