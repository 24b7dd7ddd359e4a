#ifndef FACET_SHARD_GROUP_JOIN_REGISTRY_H_
#define FACET_SHARD_GROUP_JOIN_REGISTRY_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace facet {

// What a rank says of itself when it asks to be let in. All ranks must agree in world_size,
// fingerprint, settings and build.
struct RankIdentity {
  int rank = 0;
  int world_size = 1;
  std::string fingerprint;  // of the checkpoint
  // Every other setting that must be equal, as `name=value` words separated by blanks.
  std::string settings;
  std::string build;
  std::string host;  // SharedMemoryIdentity()
};

enum class Transport { kAuto, kShm, kGloo };

// How the ranks of a complete group reach each other.
struct GroupLink {
  Transport transport = Transport::kShm;  // never kAuto
  std::string shm_segment;                // with kShm
};

// The leader's list of who has joined: decides when the group is complete, and why it never will
// be. Thread-safe; no I/O.
class JoinRegistry {
 public:
  // `leader`: rank 0, which counts as joined. `wanted`: kAuto takes shared memory if all ranks can
  // share it (equal `host`), else Gloo. `segment`: the name for shared memory.
  JoinRegistry(RankIdentity leader, Transport wanted, std::string segment);

  // Blocks until the group is complete, has failed, or `gone` says that the rank's connection is
  // dead, which takes the rank off the list again. `gone` is asked every 20 ms, and whenever
  // another process claims the same rank.
  //   FailedPrecondition  it differs from the leader: world size, checkpoint, settings or build.
  //   The
  //                       group has failed then: the others get the same.
  //   InvalidArgument     a rank outside [1, world_size): fails the group as well
  //   AlreadyExists       this rank has joined and lives
  //   Unavailable         the group is complete already: the caller may be a restarted rank, whose
  //                       leader is about to restart as well; or rank 0 gave up
  //   DeadlineExceeded    ranks are missing; names them
  //   Cancelled           `gone`
  absl::StatusOr<GroupLink> Join(const RankIdentity& rank, const std::function<bool()>& gone);

  // For the leader: blocks until all ranks have joined, or the group has failed. At `deadline` it
  // fails with DeadlineExceeded, naming the missing ranks.
  absl::StatusOr<GroupLink> WaitForAll(absl::Time deadline);

  // Fails the group, unless it is complete.
  void Fail(absl::Status reason);

 private:
  struct Member {
    RankIdentity identity;
    std::function<bool()> gone;
    int64_t ticket = 0;
  };

  absl::Status Check(const RankIdentity& rank) const;
  absl::StatusOr<GroupLink> ChooseLinkLocked() const;
  void DropDeadLocked();
  std::vector<int> MissingLocked() const;
  void SettleLocked(absl::StatusOr<GroupLink> outcome);

  const RankIdentity leader_;
  const Transport wanted_;
  const std::string segment_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::optional<Member>> members_;  // by rank
  int64_t tickets_ = 0;
  std::optional<absl::StatusOr<GroupLink>> outcome_;
};

// The words in which two `settings` differ, for a message: "page_tokens=16 here, page_tokens=32".
std::string DescribeDifference(const std::string& ours, const std::string& theirs);

}  // namespace facet

#endif  // FACET_SHARD_GROUP_JOIN_REGISTRY_H_
