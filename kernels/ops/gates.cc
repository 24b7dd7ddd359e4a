#include "kernels/ops/gates.h"

#include <algorithm>

#include "kernels/cpu/parallel_rows.h"
#include "kernels/ops/check.h"

namespace facet::ops {

void Silu(Backend& backend, const Tensor& x) {
  CheckShape(x, x.rows, x.cols, "Silu x");
  CpuBackend& cpu = AsCpu(backend);
  const cpu::TowerKernels& kernels = *KernelsOf(cpu).tower;
  cpu::ParallelPieces(cpu.pool(), x.rows, x.cols,
                      [&](int64_t t, int64_t c, int64_t n) { kernels.silu(x.f32(t) + c, n); });
}

void GatedLinearUnit(Backend& backend, const Tensor& x, const Tensor& out) {
  CheckShape(x, x.rows, 2 * out.cols, "GatedLinearUnit x");
  CheckShape(out, x.rows, out.cols, "GatedLinearUnit out");
  CpuBackend& cpu = AsCpu(backend);
  const cpu::TowerKernels& kernels = *KernelsOf(cpu).tower;
  cpu::ParallelPieces(cpu.pool(), out.rows, out.cols, [&](int64_t t, int64_t c, int64_t n) {
    kernels.gate(x.f32(t) + c, x.f32(t) + out.cols + c, n, out.f32(t) + c);
  });
}

void CausalDepthwiseConv(Backend& backend, const Tensor& x, const float* taps, int count,
                         const Tensor& out) {
  CheckShape(x, x.rows, x.cols, "CausalDepthwiseConv x");
  CheckShape(out, x.rows, x.cols, "CausalDepthwiseConv out");
  FACET_CHECK(count >= 1) << count << " taps";
  CpuBackend& cpu = AsCpu(backend);
  const cpu::TowerKernels& kernels = *KernelsOf(cpu).tower;
  cpu::ParallelRows(cpu.pool(), x.rows, count * x.cols, [&](int64_t t) {
    float* const to = out.f32(t);
    std::fill_n(to, x.cols, 0.0f);
    for (int64_t j = std::max<int64_t>(0, count - 1 - t); j < count; ++j) {
      kernels.add_products(taps + j * x.cols, x.f32(t - (count - 1) + j), x.cols, to);
    }
  });
}

void LayerNormRelu(Backend& backend, const float* weight, float eps, const Tensor& x) {
  CheckShape(x, x.rows, x.cols, "LayerNormRelu x");
  CpuBackend& cpu = AsCpu(backend);
  const cpu::TowerKernels& kernels = *KernelsOf(cpu).tower;
  cpu::ParallelRows(cpu.pool(), x.rows, x.cols,
                    [&](int64_t t) { kernels.layer_norm_relu(weight, x.cols, eps, x.f32(t)); });
}

}  // namespace facet::ops
