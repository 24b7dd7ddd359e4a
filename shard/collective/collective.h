#ifndef FACET_SHARD_COLLECTIVE_COLLECTIVE_H_
#define FACET_SHARD_COLLECTIVE_COLLECTIVE_H_

// Exchange of activations between the ranks of one shard group.
//
// Contract of every implementation:
//
// Order. All ranks call the same operations, with the same sizes, in the same order. Where they do
//   not, each rank that notices gets FailedPrecondition with both calls named.
// Buffers. The caller owns them; they are used during the call only. Input and output of one call
//   must not overlap. A size of 0 is allowed.
// Result. Sums are taken element by element in the order ((rank 0 + rank 1) + rank 2) + ... in
//   float32, whatever the size of the message, and every rank receives the same bits. So equal
//   inputs give equal outputs on every rank, in every run and over every implementation.
// Errors. The first error breaks the group: every later call on this rank returns that same status
//   at once, and the peers are made to fail too, with the same cause. A broken group cannot be
//   repaired, only made anew.
//     Unavailable         a peer died, left or aborted; the message names its rank
//     DeadlineExceeded    a peer did not come within the timeout; names the operation, the rank(s)
//                         waited for and the limit
//     FailedPrecondition  the ranks called different operations or sizes
//     InvalidArgument     sizes of the arguments do not fit each other (the peers see Unavailable)
//   After an error the contents of output buffers are unspecified.
// Leaving. Destroying a Collective tells the peers that this rank left. Ranks that still are in
//   the last common operation finish it; whoever starts another one gets Unavailable.
// Threads. Thread-compatible: one thread of a rank calls operations at a time. Abort() and
//   set_timeout() may be called from any thread at any time.

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace facet {

class Collective {
 public:
  virtual ~Collective() = default;

  // This process's place in the group, in [0, world_size()).
  virtual int rank() const = 0;
  virtual int world_size() const = 0;

  // data: [count] float32, replaced by the sum over all ranks.
  virtual absl::Status AllReduceSum(absl::Span<float> data) = 0;

  // all: [world_size, mine.size()] bytes; row r becomes the `mine` of rank r.
  virtual absl::Status AllGather(absl::Span<const uint8_t> mine, absl::Span<uint8_t> all) = 0;

  // in: [world_size, out.size()] float32. On rank r, out becomes the sum over all ranks of row r.
  virtual absl::Status ReduceScatterSum(absl::Span<const float> in, absl::Span<float> out) = 0;

  // in, out: [world_size, block] bytes. Row d of `in` goes to rank d, where it becomes row
  // rank() of `out`.
  virtual absl::Status AllToAll(absl::Span<const uint8_t> in, absl::Span<uint8_t> out) = 0;

  // data: the same size everywhere; replaced by the bytes of rank `root`. The root may return
  // before the others have come.
  virtual absl::Status Broadcast(absl::Span<uint8_t> data, int root) = 0;

  // Returns once every rank has called it.
  virtual absl::Status Barrier() = 0;

  // Breaks the group for `reason`. A call that waits on this rank returns `reason` at once, and so
  // does every later call; peers get Unavailable within milliseconds, at the latest when their
  // timeout ends. An OK reason counts as Cancelled. Without effect if the group is broken already.
  virtual void Abort(absl::Status reason) = 0;

  // Limit of each operation that starts from now on. Values outside [1 ms, 24 h] are moved there.
  virtual void set_timeout(absl::Duration timeout) = 0;
};

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_COLLECTIVE_H_
