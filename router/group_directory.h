#ifndef FACET_ROUTER_GROUP_DIRECTORY_H_
#define FACET_ROUTER_GROUP_DIRECTORY_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "router/group_addresses.h"
#include "router/placement.h"
#include "router/shard_client.h"

namespace facet {

// What the known groups, the ready ones if there are any, take of media.
struct GroupMedia {
  std::string dtype;         // what all of them compute in; empty: unknown, or they differ
  int max_image_tokens = 0;  // the least that one of them takes of an image; 0: no limit
};

// All shard groups that this router knows: finds them, keeps a connection to each, and puts
// requests onto them.
//
// A group whose address a DNS name no longer has gets no new requests; its connection is closed
// when its requests have ended. A name that cannot be looked up keeps the addresses it had.
//
// Thread-safe.
class GroupDirectory {
 public:
  struct Options {
    GroupAddresses addresses;
    ShardClient::Options client;  // for every group; its address is set here
    int context_length = 0;       // of the model; a group may have less
    absl::Duration resolve_interval = absl::Seconds(5);
    NameResolver resolver = ResolveWithSystem;
    uint64_t first_turn = 0;  // of the placement
  };

  // Called after the number of ready or of all groups may have changed, from any thread, one call
  // at a time. Must not call the directory.
  using OnChange = std::function<void(int ready_groups, int total_groups)>;

  GroupDirectory(Options options, OnChange on_change);
  // Requests on the groups hear that they are lost; waiters are called with false. A Placed that
  // somebody still holds does nothing any more.
  ~GroupDirectory();
  GroupDirectory(const GroupDirectory&) = delete;
  GroupDirectory& operator=(const GroupDirectory&) = delete;

  struct Placed {
    std::shared_ptr<ShardClient> group;
    uint64_t id = 0;  // of the request on it
  };
  // Sends the request to a ready group whose address is not in `excluded`, the least loaded first.
  // Unavailable if there is none; ResourceExhausted if none of the ready ones reads.
  absl::StatusOr<Placed> Submit(const internal::SubmitRequest& request,
                                const std::shared_ptr<ShardSink>& sink,
                                const std::set<std::string>& excluded);

  // Calls `then` once, from any thread: with true when a group is ready (at once, if one is), with
  // false when `timeout` has passed.
  void WhenReady(absl::Duration timeout, std::function<void(bool ready)> then);

  int ready_groups() const;
  int total_groups() const;
  int waiting() const;  // callers of WhenReady that have not been called yet
  // Calls on_change with the present numbers.
  void Report() { GroupChanged(); }
  // Tokens that a request may have, prompt and completion together: the least of what the ready
  // groups (the known ones, while none is ready) and the model allow.
  int context_length() const;
  GroupMedia media() const;

 private:
  using Waiters = std::multimap<absl::Time, std::function<void(bool)>>;

  void Tend();
  void Resolve();
  void SetAddresses(const std::set<std::string>& addresses);
  void GroupChanged();
  void ReleaseWaiters();
  int ReadyGroupsLocked() const;

  const Options options_;
  const OnChange on_change_;
  std::mutex place_mutex_;  // around choosing and sending: the next choice sees this one's load
  Placement placement_;

  std::mutex notify_mutex_;  // around on_change_, so that the last call tells the last state

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  // Only Submit copies these pointers, and only those of groups_: a client must never be destroyed
  // by one of its own callbacks, so it is by the tender, when no copy is left; the destructor stops
  // those of which there still is one.
  std::map<std::string, std::shared_ptr<ShardClient>> groups_;  // by address
  std::vector<std::shared_ptr<ShardClient>> leaving_;
  Waiters waiters_;  // by the time at which they give up

  std::thread resolver_;  // runs only when there are DNS names
  std::thread tender_;    // gives waiters up, closes connections of groups that left
};

}  // namespace facet

#endif  // FACET_ROUTER_GROUP_DIRECTORY_H_
