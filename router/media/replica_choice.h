#ifndef FACET_ROUTER_MEDIA_REPLICA_CHOICE_H_
#define FACET_ROUTER_MEDIA_REPLICA_CHOICE_H_

#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

#include "absl/time/time.h"

namespace facet {

// Which of several replicas a call asks: in turn, those left out that failed a moment ago. After a
// pause one call tries such a replica again, and the others go on to pass it by until it succeeds;
// every failure doubles the pause.
//
// Thread-safe. It has no clock of its own.
class ReplicaChoice {
 public:
  static constexpr absl::Duration kFirstPause = absl::Milliseconds(250);
  static constexpr absl::Duration kLongestPause = absl::Seconds(10);

  explicit ReplicaChoice(size_t replicas) : replicas_(replicas) {}

  size_t size() const { return replicas_.size(); }

  // In [0, size()), which must not be 0; not `except`, unless it is the only one. Where all have
  // failed, the one whose pause ends first.
  size_t Pick(absl::Time now, std::optional<size_t> except = std::nullopt);

  void Succeeded(size_t replica);
  void Failed(size_t replica, absl::Time now);

 private:
  struct Replica {
    absl::Duration pause = absl::ZeroDuration();  // zero: it has not failed
    absl::Time until = absl::InfinitePast();      // not asked before
    absl::Time failed = absl::InfinitePast();
  };

  std::mutex mutex_;
  std::vector<Replica> replicas_;
  size_t turn_ = 0;
};

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_REPLICA_CHOICE_H_
