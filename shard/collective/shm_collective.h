#ifndef FACET_SHARD_COLLECTIVE_SHM_COLLECTIVE_H_
#define FACET_SHARD_COLLECTIVE_SHM_COLLECTIVE_H_

// Collective between ranks on one host, over POSIX shared memory.
//
// Needs Linux 3.15 or newer and one /dev/shm that all ranks see: containers of one pod have to
// mount the same memory volume there. The ranks may live in different PID namespaces.
// Memory: 2 * world_size * slot_bytes in /dev/shm (a container's default of 64 MiB is enough for 8
// ranks with the default slots).
//
// Speed: a rank that waits looks at the memory for `spin_limit` before it goes to sleep, but only
// if each rank has cores of its own; otherwise it sleeps at once, so that the rank that it waits
// for can run. Peers that died are noticed within about 20 ms of waiting, those that left or
// aborted at once.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shard/collective/collective.h"

namespace facet {

struct ShmCollectiveOptions {
  // One leading '/', then 1 to 250 characters other than '/'. The same on all ranks and unique
  // among the groups that start on this host at one time.
  std::string segment_name;
  int rank = 0;  // rank 0 creates the segment
  int world_size = 1;
  // What a rank can hand over in one step; larger messages take several. The same on all ranks, a
  // multiple of 64, at least 4096 and 64 * world_size.
  size_t slot_bytes = size_t{512} << 10;
  // Limit of each operation, and of Create() waiting for the other ranks.
  absl::Duration timeout = absl::Seconds(30);
  absl::Duration connect_timeout = absl::Seconds(60);
  // Time to look before going to sleep, where world_size * threads_per_rank <= usable cores.
  absl::Duration spin_limit = absl::Microseconds(20);
  int threads_per_rank = 1;  // that compute while the others wait

  // InvalidArgument, naming the field.
  absl::Status Validate() const;
};

// Returns when all ranks of the group have attached.
//   InvalidArgument     see Validate()
//   DeadlineExceeded    a rank did not come within connect_timeout; the message names it
//   AlreadyExists, FailedPrecondition, ResourceExhausted   see ShmSegment
absl::StatusOr<std::unique_ptr<Collective>> CreateShmCollective(
    const ShmCollectiveOptions& options);

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_SHM_COLLECTIVE_H_
