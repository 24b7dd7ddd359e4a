#ifndef FACET_SHARD_COLLECTIVE_GLOO_COLLECTIVE_H_
#define FACET_SHARD_COLLECTIVE_GLOO_COLLECTIVE_H_

// Collective between ranks on different hosts, over TCP. (For ranks on one host shm_collective.h is
// some fifty times faster.)
//
// Each rank listens on ports that the system picks, one a peer, until that peer has connected; all
// ports have to be open between the ranks. There is neither encryption nor authentication, and a
// stranger who connects in a peer's place can end the process: use a network that only the cluster
// is on. Afterwards the group is one TCP connection and 6 * (chunk_bytes + 64) bytes for each peer,
// and two threads (Gloo's, and one that watches waits).
//
// Sets SIGPIPE to be ignored, if the process has not chosen otherwise: Gloo writes to sockets that
// a peer may have closed.

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shard/collective/collective.h"
#include "shard/collective/key_value_store.h"

namespace facet {

struct GlooCollectiveOptions {
  int rank = 0;
  int world_size = 1;
  // Where the other ranks reach this one: the first address of a network interface ("eth0"), or a
  // name or address of this host. Exactly one of the two.
  std::string interface;
  std::string hostname;
  // Leads the keys in the store. A new one for each attempt to make a group.
  std::string key_prefix;
  // The largest message; more is sent in pieces. The same on all ranks, a multiple of 64 in
  // [4 KiB, 64 MiB].
  size_t chunk_bytes = size_t{512} << 10;
  // Limit of each operation; of finding the others, and again of connecting with them.
  absl::Duration timeout = absl::Seconds(30);
  absl::Duration connect_timeout = absl::Seconds(60);

  // InvalidArgument, naming the field.
  absl::Status Validate() const;
};

// Returns when all ranks are connected. `store` is used during the call only.
//   InvalidArgument     see Validate(); or the interface or hostname does not exist here
//   DeadlineExceeded    a rank did not come within connect_timeout; the message names it
//   Unavailable         a rank came and went
//   FailedPrecondition  the ranks have different options
absl::StatusOr<std::unique_ptr<Collective>> CreateGlooCollective(
    const GlooCollectiveOptions& options, KeyValueStore& store);

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_GLOO_COLLECTIVE_H_
