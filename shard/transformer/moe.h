#ifndef FACET_SHARD_TRANSFORMER_MOE_H_
#define FACET_SHARD_TRANSFORMER_MOE_H_

#include "kernels/tensor.h"
#include "shard/transformer/step_context.h"

namespace facet {

// This rank's part of the mixture of experts; the ranks' sum is the whole:
//   p = softmax((rms(x) * router_scale * H^-1/2) @ router^T)
//   out = sum over the best k experts: weight * expert(rmsnorm(x, pre_norm))
// x is the residual stream itself, not normed. The router runs on every rank and chooses alike,
// since x has the same bits everywhere; a rank adds the experts, or the part of each expert, that
// it holds. Shapes: out [rows, H].
void RunExperts(StepContext& step, const MoeWeights& weights, const Tensor& out);

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_MOE_H_
