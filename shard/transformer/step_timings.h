#ifndef FACET_SHARD_TRANSFORMER_STEP_TIMINGS_H_
#define FACET_SHARD_TRANSFORMER_STEP_TIMINGS_H_

#include "absl/time/time.h"

namespace facet {

// Where one step's time went, on one rank. `collective` is not contained in the others.
struct StepTimings {
  absl::Duration embedding;   // token embedding, per-layer inputs, rotary tables
  absl::Duration attention;   // all layers: norm, q/k/v, pages, output projection
  absl::Duration mlp;         // all layers: feed-forward, experts, per-layer input gate
  absl::Duration head;        // final norm, head, soft cap
  absl::Duration collective;  // waiting for and exchanging with other ranks
};

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_STEP_TIMINGS_H_
