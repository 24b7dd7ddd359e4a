#ifndef FACET_SHARD_GROUP_FOLLOWER_LOOP_H_
#define FACET_SHARD_GROUP_FOLLOWER_LOOP_H_

#include "absl/status/status.h"
#include "shard/collective/collective.h"
#include "shard/group/metrics.h"
#include "shard/group/step_model.h"

namespace facet {

// The life of a rank > 0 once the group is whole: receives a plan, executes it, and so on. Never
// decides anything.
//
// Returns OK when the leader says stop. Any other end breaks the group (the peers are told through
// the collective) and its reason is returned: the collective's error, a plan that makes no sense, a
// step that failed. A leader that is silent longer than the collective's timeout is lost: it sends
// an idle plan far more often. The caller ends the process then; a broken group is only made anew.
//
// All arguments are borrowed; `metrics` may be null.
absl::Status RunFollower(StepModel* model, Collective* collective, StepMetrics* metrics);

// What the sequences of a plan do, for metrics. A sequence that computes more than one token is at
// its prompt (or at tokens that it lost by preemption).
StepPhase PhaseOf(const StepPlan& plan);

}  // namespace facet

#endif  // FACET_SHARD_GROUP_FOLLOWER_LOOP_H_
