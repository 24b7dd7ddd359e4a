#ifndef FACET_SHARD_TRANSFORMER_MLP_H_
#define FACET_SHARD_TRANSFORMER_MLP_H_

#include "kernels/tensor.h"
#include "shard/transformer/step_context.h"

namespace facet {

// This rank's part of the gated MLP (Shazeer 2020, arXiv:2002.05202, GEGLU):
//   out = (gelu(x @ gate^T) * (x @ up^T)) @ down^T
// over its own columns: the ranks' sum is the whole. Shapes: x, out [rows, H].
void RunMlp(const StepContext& step, const MlpWeights& weights, const Tensor& x, const Tensor& out);

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_MLP_H_
