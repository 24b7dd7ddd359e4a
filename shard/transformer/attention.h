#ifndef FACET_SHARD_TRANSFORMER_ATTENTION_H_
#define FACET_SHARD_TRANSFORMER_ATTENTION_H_

#include "absl/status/status.h"
#include "shard/transformer/step_context.h"

namespace facet {

// The attention half of layer `i`, added to the residual stream:
//   x += rmsnorm(attention(rmsnorm(x)))
// Queries (and, where the layer owns K/V, keys and values) are normed per head; queries and keys
// are rotated; scores are not scaled. Layers without K/V of their own attend to those of their
// source.
//
// The last layer that owns K/V still stores those of every row; then it drops the rows without
// logits from the step, since nothing reads them any more. No row may remain.
// Errors: the collective's.
absl::Status RunAttention(StepContext& step, int i);

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_ATTENTION_H_
