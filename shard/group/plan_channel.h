#ifndef FACET_SHARD_GROUP_PLAN_CHANNEL_H_
#define FACET_SHARD_GROUP_PLAN_CHANNEL_H_

// How a step plan travels from the leader to the followers: by the group's own collective, so that
// it shares its order, its timeout and its errors (docs/decisions/0004).

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "shard/collective/collective.h"
#include "shard/step_plan.h"

namespace facet {

// A plan is one broadcast of kFrameBytes, which hold the plan's size and its first bytes, and a
// second one with the rest if there is any. After a plan of kind kIdle or kStop all ranks meet at a
// barrier, so that the leader knows that the followers live (a broadcast alone does not tell), and
// that all have heard the end.
//
// Thread-compatible. In a group of one, Send does nothing.
class PlanChannel {
 public:
  static constexpr int kFrameBytes = 1024;

  // `collective` is borrowed.
  explicit PlanChannel(Collective* collective) : collective_(collective) {}

  // On rank 0. Errors are the collective's.
  absl::Status Send(const StepPlan& plan);

  // On the other ranks. The collective's errors; InvalidArgument if the bytes are no plan.
  absl::StatusOr<StepPlan> Receive();

 private:
  Collective* const collective_;
  std::vector<uint8_t> buffer_;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_PLAN_CHANNEL_H_
