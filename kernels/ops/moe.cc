#include "kernels/ops/moe.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/ops/check.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"

namespace facet::ops {

void RouteTopK(Backend& backend, const Tensor& logits, int top_k, const float* per_expert_scale,
               MoeRouting& routing) {
  AsCpu(backend);
  const auto experts = static_cast<int>(logits.cols);
  FACET_CHECK(top_k >= 1 && top_k <= experts) << top_k << " of " << experts;
  routing.top_k = top_k;
  routing.experts.resize(logits.rows * top_k);
  routing.weights.resize(logits.rows * top_k);
  for (int64_t t = 0; t < logits.rows; ++t) {
    const float* l = logits.f32(t);
    int32_t* chosen = routing.experts.data() + t * top_k;
    float* weights = routing.weights.data() + t * top_k;
    for (int j = 0; j < top_k; ++j) {
      int best = -1;
      for (int e = 0; e < experts; ++e) {
        if (std::find(chosen, chosen + j, e) != chosen + j) continue;
        if (best < 0 || l[e] > l[best] || (std::isnan(l[best]) && !std::isnan(l[e]))) best = e;
      }
      chosen[j] = best;
    }
    // The softmax over all experts and the renormalisation cancel to one over the chosen ones.
    double sum = 0;
    for (int j = 0; j < top_k; ++j) sum += std::exp(double{l[chosen[j]]} - l[chosen[0]]);
    for (int j = 0; j < top_k; ++j) {
      weights[j] = static_cast<float>(std::exp(double{l[chosen[j]]} - l[chosen[0]]) / sum *
                                      per_expert_scale[chosen[j]]);
    }
  }
}

void MoeExperts(Backend& backend, const Tensor& x, const MoeRouting& routing, int first_expert,
                absl::Span<const WeightMatrix> gate_up, absl::Span<const WeightMatrix> down,
                const Tensor& out) {
  CheckShape(out, x.rows, x.cols, "MoeExperts out");
  FACET_CHECK(gate_up.size() == down.size());
  FACET_CHECK(static_cast<int64_t>(routing.experts.size()) == x.rows * routing.top_k);
  for (int64_t t = 0; t < x.rows; ++t) {
    float* o = out.f32(t);
    std::fill(o, o + x.cols, 0.0f);
    for (int j = 0; j < routing.top_k; ++j) {
      const int64_t e = routing.experts[t * routing.top_k + j] - first_expert;
      if (e < 0 || e >= static_cast<int64_t>(gate_up.size())) continue;
      const int64_t width = down[e].in();
      std::vector<float> hidden(2 * width), y(x.cols);
      const Tensor h{hidden.data(), DType::kF32, 1, 2 * width, 2 * width};
      MatMul(backend, x.Rows(t, 1), gate_up[e], h);
      GeluMul(backend, h.Columns(0, width), h.Columns(width, width), h.Columns(0, width));
      MatMul(backend, h.Columns(0, width), down[e], {y.data(), DType::kF32, 1, x.cols, x.cols});
      const float weight = routing.weights[t * routing.top_k + j];
      for (int64_t c = 0; c < x.cols; ++c) o[c] += weight * y[c];
    }
  }
}

}  // namespace facet::ops
