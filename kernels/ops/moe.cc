#include "kernels/ops/moe.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/moe.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/ops/check.h"

namespace facet::ops {
namespace {

// Whether logit a of expert i goes before logit b of expert j. NaN goes last, so that the order is
// total for any input.
bool GoesBefore(float a, int i, float b, int j) {
  if (std::isnan(a) != std::isnan(b)) return std::isnan(b);
  if (a != b && !std::isnan(a)) return a > b;
  return i < j;
}

// The top_k experts of one row, best first. Softmax keeps the order of the logits, and its sum over
// all experts cancels when the chosen weights are renormalised.
void RouteRow(const float* logits, int experts, int top_k, const float* per_expert_scale,
              int32_t* chosen, float* weights) {
  int count = 0;
  for (int e = 0; e < experts; ++e) {
    if (count == top_k && !GoesBefore(logits[e], e, logits[chosen[count - 1]], chosen[count - 1])) {
      continue;
    }
    int at = count < top_k ? count++ : count - 1;
    for (; at > 0 && GoesBefore(logits[e], e, logits[chosen[at - 1]], chosen[at - 1]); --at) {
      chosen[at] = chosen[at - 1];
    }
    chosen[at] = e;
  }
  double sum = 0;
  for (int j = 0; j < top_k; ++j) {
    weights[j] = std::exp(logits[chosen[j]] - logits[chosen[0]]);
    sum += weights[j];
  }
  for (int j = 0; j < top_k; ++j) {
    weights[j] = static_cast<float>(weights[j] / sum) * per_expert_scale[chosen[j]];
  }
}

}  // namespace

void RouteTopK(Backend& backend, const Tensor& logits, int top_k, const float* per_expert_scale,
               MoeRouting& routing) {
  CheckShape(logits, logits.rows, logits.cols, "RouteTopK logits");
  FACET_CHECK(top_k >= 1 && top_k <= logits.cols) << "top " << top_k << " of " << logits.cols;
  CpuBackend& cpu = AsCpu(backend);
  routing.top_k = top_k;
  routing.experts.resize(static_cast<size_t>(logits.rows * top_k));
  routing.weights.resize(static_cast<size_t>(logits.rows * top_k));
  cpu::ParallelRows(cpu.pool(), logits.rows, 4 * logits.cols, [&](int64_t t) {
    RouteRow(logits.f32(t), static_cast<int>(logits.cols), top_k, per_expert_scale,
             routing.experts.data() + t * top_k, routing.weights.data() + t * top_k);
  });
}

void MoeExperts(Backend& backend, const Tensor& x, const MoeRouting& routing, int first_expert,
                absl::Span<const WeightMatrix> gate_up, absl::Span<const WeightMatrix> down,
                const Tensor& out) {
  CheckShape(x, x.rows, x.cols, "MoeExperts x");
  CheckShape(out, x.rows, x.cols, "MoeExperts out");
  FACET_CHECK(gate_up.size() == down.size()) << gate_up.size() << " and " << down.size();
  for (size_t e = 0; e < down.size(); ++e) {
    FACET_CHECK(gate_up[e].in() == x.cols && down[e].out() == x.cols &&
                gate_up[e].out() == 2 * down[e].in() && down[e].in() == down[0].in())
        << "expert " << e << ": gate_up [" << gate_up[e].out() << ", " << gate_up[e].in()
        << "], down [" << down[e].out() << ", " << down[e].in() << "], x " << x.cols;
  }
  const auto pairs = static_cast<size_t>(x.rows * routing.top_k);
  FACET_CHECK(routing.experts.size() == pairs && routing.weights.size() == pairs)
      << routing.experts.size() << " experts for " << pairs << " choices";
  CpuBackend& cpu = AsCpu(backend);
  cpu::RunMoeExperts(cpu, KernelsOf(cpu), x, routing.experts.data(), routing.weights.data(),
                     routing.top_k, first_expert, gate_up, down, out);
}

}  // namespace facet::ops
