#ifndef FACET_SHARD_TRANSFORMER_KEPT_ROWS_H_
#define FACET_SHARD_TRANSFORMER_KEPT_ROWS_H_

#include "kernels/tensor.h"
#include "shard/transformer/step_context.h"

namespace facet {

// Goes on with only those rows whose logits are wanted, in layer `i` and all later ones: exact once
// no later layer stores K/V. In E2B and E4B that saves most of a prompt's work. Moves the residual
// stream, the per-layer inputs from layer `i` on and the rotary tables, and returns the kept rows
// of `query`. Does nothing, and returns `query`, where all rows are wanted.
Tensor KeepRowsWithLogits(StepContext& step, int i, const Tensor& query);

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_KEPT_ROWS_H_
