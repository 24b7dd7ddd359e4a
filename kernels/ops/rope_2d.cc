#include "kernels/ops/rope_2d.h"

#include "kernels/cpu/parallel_rows.h"
#include "kernels/ops/check.h"

namespace facet::ops {

void Rope2d(Backend& backend, const Tensor& x, int head_dim, const Tensor& cos_sin_x,
            const Tensor& cos_sin_y) {
  FACET_CHECK(head_dim >= 4 && head_dim % 4 == 0 && x.cols % head_dim == 0)
      << x.cols << " columns, heads of " << head_dim;
  const int half = head_dim / 2;
  CheckShape(x, x.rows, x.cols, "Rope2d x");
  CheckShape(cos_sin_x, x.rows, half, "Rope2d cos_sin_x");
  CheckShape(cos_sin_y, x.rows, half, "Rope2d cos_sin_y");
  CpuBackend& cpu = AsCpu(backend);
  const cpu::RowKernels& kernels = *KernelsOf(cpu).rows;
  cpu::ParallelRows(cpu.pool(), x.rows, x.cols, [&](int64_t t) {
    float* row = x.f32(t);
    for (int64_t c = 0; c < x.cols; c += head_dim) {
      kernels.rotate(row + c, cos_sin_x.f32(t), half);
      kernels.rotate(row + c + half, cos_sin_y.f32(t), half);
    }
  });
}

}  // namespace facet::ops
