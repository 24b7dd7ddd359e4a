#include "kernels/ops/matmul.h"

#include <algorithm>

#include "kernels/cpu/thread_pool.h"
#include "kernels/ops/check.h"

namespace facet::ops {

void MatMul(Backend& backend, const Tensor& x, const WeightMatrix& w, const Tensor& out) {
  CheckShape(x, x.rows, w.in(), "MatMul x");
  CheckShape(out, x.rows, w.out(), "MatMul out");
  CpuBackend& cpu = AsCpu(backend);
  const int64_t panels = (w.out() + 15) / 16;
  const int64_t in = w.in();
  cpu.pool().ParallelFor(panels, [&](int64_t panel) {
    const int64_t rows = std::min<int64_t>(16, w.out() - panel * 16);
    for (int64_t t = 0; t < x.rows; ++t) {
      const float* xr = x.f32(t);
      float sum[16] = {};
      if (w.format() == WeightFormat::kF32) {
        const float* p = static_cast<const float*>(w.data()) + panel * in * 16;
        for (int64_t k = 0; k < in; ++k) {
          for (int r = 0; r < 16; ++r) sum[r] += p[k * 16 + r] * xr[k];
        }
      } else {
        const uint16_t* p = static_cast<const uint16_t*>(w.data()) + panel * ((in + 1) / 2) * 32;
        for (int64_t k = 0; k < in; ++k) {
          const uint16_t* q = p + k / 2 * 32 + k % 2;
          for (int r = 0; r < 16; ++r) sum[r] += Bf16ToFloat(q[2 * r]) * xr[k];
        }
      }
      std::copy(sum, sum + rows, out.f32(t) + panel * 16);
    }
  });
}

}  // namespace facet::ops
