#include "router/media/replica_choice.h"

#include <algorithm>

#include "base/log.h"

namespace facet {

size_t ReplicaChoice::Pick(absl::Time now, std::optional<size_t> except) {
  std::lock_guard<std::mutex> lock(mutex_);
  FACET_CHECK(!replicas_.empty());
  std::optional<size_t> soonest;
  for (size_t k = 0; k < replicas_.size(); ++k) {
    const size_t i = (turn_ + k) % replicas_.size();
    if (i == except && replicas_.size() > 1) continue;
    Replica& replica = replicas_[i];
    if (replica.until <= now) {
      turn_ = i + 1;
      // One call tries it; the next ones see a pause that has begun anew.
      if (replica.pause > absl::ZeroDuration()) replica.until = now + replica.pause;
      return i;
    }
    if (!soonest.has_value() || replica.until < replicas_[*soonest].until) soonest = i;
  }
  return *soonest;
}

void ReplicaChoice::Succeeded(size_t replica) {
  std::lock_guard<std::mutex> lock(mutex_);
  replicas_[replica] = Replica();
}

void ReplicaChoice::Failed(size_t index, absl::Time now) {
  std::lock_guard<std::mutex> lock(mutex_);
  Replica& replica = replicas_[index];
  // Calls that were on their way together are one failure.
  if (now - replica.failed < replica.pause / 2) return;
  replica.failed = now;
  replica.pause = std::clamp(2 * replica.pause, kFirstPause, kLongestPause);
  replica.until = now + replica.pause;
}

}  // namespace facet
