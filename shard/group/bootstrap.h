#ifndef FACET_SHARD_GROUP_BOOTSTRAP_H_
#define FACET_SHARD_GROUP_BOOTSTRAP_H_

// How the ranks of a shard group find each other and become a group.
//
//   rank 0:    GroupLeader leader(options);           its service() is served by the process
//              leader.Assemble()                  ->  waits for all ranks, then the collective
//   rank > 0:  JoinGroup(options)                 ->  dials the leader, waits for all ranks, ...
//
// A wrong group never runs: every rank states its world size, checkpoint, settings and build, and a
// difference fails the start on both sides with the reason. When the collective is there, a
// self-test sums known numbers over it before anybody gets it.

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "shard/collective/collective.h"
#include "shard/group/join_registry.h"
#include "shard/group/leader_store.h"

namespace facet {

class ShardGroupService;

struct BootstrapOptions {
  RankIdentity identity;  // an empty host: that of this process
  std::string leader;     // host:port of rank 0, for the others
  // What the leader wants; the others follow it.
  Transport transport = Transport::kAuto;
  // Gloo: the network interface where the other ranks reach this one; empty: the address that this
  // host's name stands for.
  std::string gloo_interface;
  // For all ranks to join, and again for the collective to connect.
  absl::Duration join_timeout = absl::Minutes(5);
  // Of each operation of the collective.
  absl::Duration collective_timeout = absl::Seconds(10);
  int threads_per_rank = 1;  // that compute; shared memory spins only where all have cores

  // InvalidArgument names the field, its value and what is allowed.
  absl::Status Validate() const;
};

// A rank's end of the group.
struct GroupHandle {
  std::unique_ptr<Collective> collective;
  std::string transport;  // "none" (a rank alone), "shm" or "gloo"
};

// Rank 0's side. Thread-safe.
class GroupLeader {
 public:
  // `options` must be valid.
  explicit GroupLeader(const BootstrapOptions& options);
  ~GroupLeader();

  // Serve it before Assemble(), and as long as this lives.
  grpc::Service* service();

  // Waits for all ranks (a group of one has nobody to wait for), connects and tests the collective.
  //   DeadlineExceeded    ranks are missing; the message names them
  //   FailedPrecondition, InvalidArgument   a rank differs; as JoinRegistry::Join
  //   others              the collective's
  absl::StatusOr<GroupHandle> Assemble();

  // Ends Assemble() and waiting ranks with this reason.
  void Abort(absl::Status reason);

 private:
  const BootstrapOptions options_;
  LeaderStore store_;
  JoinRegistry registry_;
  std::unique_ptr<ShardGroupService> service_;
};

// The other ranks' side. A leader that cannot be reached, or whose group is still the previous one,
// is asked again until `join_timeout`.
//   DeadlineExceeded   the leader was not reached; or ranks are missing, and it named them
//   others             the leader's refusal, or the collective's
absl::StatusOr<GroupHandle> JoinGroup(const BootstrapOptions& options);

// Sums, gathers and broadcasts known numbers. All ranks call it together. Internal names the
// operation that gave something else; errors of the collective pass through.
absl::Status TestCollective(Collective& collective);

}  // namespace facet

#endif  // FACET_SHARD_GROUP_BOOTSTRAP_H_
