#include "kernels/ops/clamp.h"

#include "kernels/cpu/parallel_rows.h"
#include "kernels/ops/check.h"

namespace facet::ops {

void Clamp(Backend& backend, const Tensor& x, float low, float high, const Tensor& out) {
  CheckShape(x, x.rows, x.cols, "Clamp x");
  CheckShape(out, x.rows, x.cols, "Clamp out");
  FACET_CHECK(low <= high) << low << " > " << high;
  CpuBackend& cpu = AsCpu(backend);
  const cpu::TowerKernels& kernels = *KernelsOf(cpu).tower;
  cpu::ParallelPieces(cpu.pool(), x.rows, x.cols, [&](int64_t t, int64_t c, int64_t n) {
    kernels.clamp(x.f32(t) + c, low, high, n, out.f32(t) + c);
  });
}

}  // namespace facet::ops
