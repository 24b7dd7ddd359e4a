#ifndef FACET_KERNELS_OPS_MOE_H_
#define FACET_KERNELS_OPS_MOE_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "kernels/backend.h"
#include "kernels/tensor.h"
#include "kernels/weight_matrix.h"

namespace facet::ops {

// The experts of every token, best first: [tokens, top_k], row-major, in host memory.
struct MoeRouting {
  int top_k = 0;
  std::vector<int32_t> experts;
  std::vector<float> weights;
};

// p = softmax(logits); the top_k largest (ties: the lower index first), their p renormalised to sum
// 1 and multiplied by per_expert_scale[expert].
// Shapes: logits [tokens, experts] f32; per_expert_scale [experts].
void RouteTopK(Backend& backend, const Tensor& logits, int top_k, const float* per_expert_scale,
               MoeRouting& routing);

// out[t] = sum_j weight[t, j] * down[e] (gelu(G x[t]) * (U x[t])), e = experts[t, j], G over U the
// rows of gate_up[e]. The sum runs in the order of j, over the experts held here:
// [first_expert, first_expert + gate_up.size()); others add nothing (another rank adds them).
// Shapes: x, out [tokens, hidden]; gate_up[e] [2 * width, hidden]; down[e] [hidden, width].
// Tokens are grouped by expert, so that each expert's weights are read once. A row's result does
// not depend on the other rows.
void MoeExperts(Backend& backend, const Tensor& x, const MoeRouting& routing, int first_expert,
                absl::Span<const WeightMatrix> gate_up, absl::Span<const WeightMatrix> down,
                const Tensor& out);

}  // namespace facet::ops

#endif  // FACET_KERNELS_OPS_MOE_H_
