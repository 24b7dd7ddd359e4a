#include "shard/group/follower_loop.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "shard/group/plan_channel.h"

namespace facet {

StepPhase PhaseOf(const StepPlan& plan) {
  bool prefill = false, decode = false;
  for (const SequenceStep& sequence : plan.sequences) {
    (sequence.tokens.size() == 1 ? decode : prefill) = true;
  }
  if (prefill && decode) return StepPhase::kMixed;
  return prefill ? StepPhase::kPrefill : StepPhase::kDecode;
}

absl::Status RunFollower(StepModel* model, Collective* collective, StepMetrics* metrics) {
  PlanChannel channel(collective);
  for (;;) {
    const absl::StatusOr<StepPlan> plan = channel.Receive();
    if (!plan.ok()) {
      collective->Abort(plan.status());
      return absl::Status(plan.status().code(),
                          absl::StrCat("lost the leader: ", plan.status().message()));
    }
    if (plan->kind == StepPlan::Kind::kStop) return absl::OkStatus();
    if (plan->kind == StepPlan::Kind::kIdle) continue;
    const absl::Time start = absl::Now();
    if (const absl::StatusOr<Tensor> result = model->Forward(*plan); !result.ok()) {
      collective->Abort(result.status());
      return absl::Status(result.status().code(),
                          absl::StrCat("step ", plan->step, ": ", result.status().message()));
    }
    if (metrics != nullptr) {
      metrics->ObserveStep(PhaseOf(*plan), absl::Now() - start, model->timings());
    }
  }
}

}  // namespace facet
