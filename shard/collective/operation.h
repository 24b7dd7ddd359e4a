#ifndef FACET_SHARD_COLLECTIVE_OPERATION_H_
#define FACET_SHARD_COLLECTIVE_OPERATION_H_

// What one call on a Collective asks for, in the form that ranks compare with each other, and the
// wording of errors that all implementations share.

#include <chrono>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace facet {

enum class OpKind : uint32_t {
  kNone = 0,
  kAllReduceSum,
  kAllGather,
  kReduceScatterSum,
  kAllToAll,
  kBroadcast,
  kBarrier,
};

// The name of the member function of Collective.
const char* Name(OpKind kind);

// Travels between processes as raw bytes.
struct Operation {
  OpKind kind = OpKind::kNone;
  int32_t root = 0;    // Broadcast only
  uint64_t bytes = 0;  // of the first buffer

  friend bool operator==(const Operation& a, const Operation& b) {
    return a.kind == b.kind && a.root == b.root && a.bytes == b.bytes;
  }
};
static_assert(std::is_trivially_copyable_v<Operation>);

// For example "AllGather of 20 bytes".
std::string ToString(const Operation& op);

// One running call: the operation and when it has to be over.
struct Call {
  Operation op;
  std::chrono::steady_clock::time_point deadline;
  absl::Duration limit;  // what the deadline was made from, for the message
};

// "rank 3" or "ranks 1, 3".
std::string RankList(const std::vector<int>& ranks);

// DeadlineExceeded.
absl::Status TimeoutError(const Call& call, const std::vector<int>& missing_ranks);

// Unavailable: the process of `rank` ended, `detail` says how that was noticed.
absl::Status PeerDiedError(int rank, absl::string_view detail);

// Unavailable: the rank destroyed its Collective.
absl::Status PeerLeftError(int rank);

// FailedPrecondition.
absl::Status MismatchError(int my_rank, const Operation& mine, int peer, const Operation& theirs);

// Why `rank` broke the group, as its peers report it: the cause that it found, or Unavailable where
// the cause is its own affair (`aborted`, or an error in its arguments).
absl::Status PeerBrokeError(int rank, bool aborted, absl::StatusCode code,
                            absl::string_view message);

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_OPERATION_H_
