#ifndef FACET_SHARD_TRANSFORMER_LAYER_H_
#define FACET_SHARD_TRANSFORMER_LAYER_H_

#include "absl/status/status.h"
#include "shard/transformer/step_context.h"

namespace facet {

// Decoder layer `i`, applied to the residual stream x:
//   x += rmsnorm(attention(rmsnorm(x)))
//   x += rmsnorm(y), y = mlp(rmsnorm(x)), MoE: y = rmsnorm(mlp(rmsnorm(x))) + rmsnorm(experts(x))
//   x += rmsnorm((gelu(x @ gate^T) * per_layer_input) @ projection^T)   where there is one
//   x *= layer_scalar
// After the last layer that owns K/V only the rows with logits remain; when there are none, the
// layer ends as soon as its K/V are stored. Errors: the collective's.
absl::Status RunLayer(StepContext& step, int i);

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_LAYER_H_
