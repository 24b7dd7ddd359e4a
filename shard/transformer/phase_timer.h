#ifndef FACET_SHARD_TRANSFORMER_PHASE_TIMER_H_
#define FACET_SHARD_TRANSFORMER_PHASE_TIMER_H_

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "shard/transformer/step_timings.h"

namespace facet {

// Splits the time of a step into its phases. Always in one phase, or in none (nullptr).
class PhaseTimer {
 public:
  using Phase = absl::Duration StepTimings::*;

  // Forgets the last step.
  void Reset() {
    timings_ = StepTimings();
    phase_ = nullptr;
  }

  // Ends the phase at hand and begins `next`; returns the ended one.
  Phase Enter(Phase next) {
    const int64_t now = absl::GetCurrentTimeNanos();
    if (phase_ != nullptr) timings_.*phase_ += absl::Nanoseconds(now - since_);
    since_ = now;
    const Phase ended = phase_;
    phase_ = next;
    return ended;
  }

  const StepTimings& timings() const { return timings_; }

 private:
  StepTimings timings_;
  Phase phase_ = nullptr;
  int64_t since_ = 0;
};

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_PHASE_TIMER_H_
