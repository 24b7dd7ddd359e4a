#include "kernels/ops/rms_norm.h"

#include "kernels/cpu/parallel_rows.h"
#include "kernels/ops/check.h"

namespace facet::ops {

void RmsNorm(Backend& backend, const Tensor& x, const float* weight, float eps, const Tensor& out) {
  CheckShape(x, x.rows, x.cols, "RmsNorm x");
  CheckShape(out, x.rows, x.cols, "RmsNorm out");
  CpuBackend& cpu = AsCpu(backend);
  const cpu::RowKernels& kernels = *KernelsOf(cpu).rows;
  cpu::ParallelRows(cpu.pool(), x.rows, x.cols, [&](int64_t t) {
    kernels.rms_norm(x.f32(t), weight, x.cols, eps, out.f32(t));
  });
}

void AddRmsNorm(Backend& backend, const Tensor& x, const float* weight, float eps, float scale,
                const Tensor& residual) {
  CheckShape(x, x.rows, x.cols, "AddRmsNorm x");
  CheckShape(residual, x.rows, x.cols, "AddRmsNorm residual");
  CpuBackend& cpu = AsCpu(backend);
  const cpu::RowKernels& kernels = *KernelsOf(cpu).rows;
  cpu::ParallelRows(cpu.pool(), x.rows, x.cols, [&](int64_t t) {
    kernels.add_rms_norm(x.f32(t), weight, x.cols, eps, scale, residual.f32(t));
  });
}

}  // namespace facet::ops
