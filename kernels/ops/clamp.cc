#include "kernels/ops/clamp.h"

#include <algorithm>

#include "kernels/cpu/parallel_rows.h"
#include "kernels/ops/check.h"

namespace facet::ops {

void Clamp(Backend& backend, const Tensor& x, float low, float high, const Tensor& out) {
  CheckShape(x, x.rows, x.cols, "Clamp x");
  CheckShape(out, x.rows, x.cols, "Clamp out");
  FACET_CHECK(low <= high) << low << " > " << high;
  // Bound by memory: what the compiler makes of it is enough on every level.
  cpu::ParallelPieces(AsCpu(backend).pool(), x.rows, x.cols, [&](int64_t t, int64_t c, int64_t n) {
    const float* const from = x.f32(t) + c;
    float* const to = out.f32(t) + c;
    for (int64_t i = 0; i < n; ++i) to[i] = std::min(std::max(from[i], low), high);
  });
}

}  // namespace facet::ops
