#include "kernels/ops/elementwise.h"

#include <cstring>

#include "kernels/cpu/parallel_rows.h"
#include "kernels/ops/check.h"

namespace facet::ops {

void GeluMul(Backend& backend, const Tensor& gate, const Tensor& up, const Tensor& out) {
  CheckShape(gate, gate.rows, gate.cols, "GeluMul gate");
  CheckShape(up, gate.rows, gate.cols, "GeluMul up");
  CheckShape(out, gate.rows, gate.cols, "GeluMul out");
  CpuBackend& cpu = AsCpu(backend);
  const cpu::RowKernels& kernels = *KernelsOf(cpu).rows;
  cpu::ParallelPieces(cpu.pool(), gate.rows, gate.cols, [&](int64_t t, int64_t c, int64_t n) {
    kernels.gelu_mul(gate.f32(t) + c, up.f32(t) + c, n, out.f32(t) + c);
  });
}

void AddScale(Backend& backend, const Tensor& a, const Tensor& b, float scale, const Tensor& out) {
  CheckShape(a, a.rows, a.cols, "AddScale a");
  CheckShape(b, a.rows, a.cols, "AddScale b");
  CheckShape(out, a.rows, a.cols, "AddScale out");
  CpuBackend& cpu = AsCpu(backend);
  const cpu::RowKernels& kernels = *KernelsOf(cpu).rows;
  cpu::ParallelPieces(cpu.pool(), a.rows, a.cols, [&](int64_t t, int64_t c, int64_t n) {
    kernels.add_scale(a.f32(t) + c, b.f32(t) + c, scale, n, out.f32(t) + c);
  });
}

void Scale(Backend& backend, const Tensor& x, float scale) {
  CheckShape(x, x.rows, x.cols, "Scale x");
  CpuBackend& cpu = AsCpu(backend);
  const cpu::RowKernels& kernels = *KernelsOf(cpu).rows;
  cpu::ParallelPieces(cpu.pool(), x.rows, x.cols, [&](int64_t t, int64_t c, int64_t n) {
    kernels.scale(x.f32(t) + c, scale, n);
  });
}

void Copy(Backend& backend, const Tensor& x, const Tensor& out) {
  CheckShape(x, x.rows, x.cols, "Copy x");
  CheckShape(out, x.rows, x.cols, "Copy out");
  CpuBackend& cpu = AsCpu(backend);
  cpu::ParallelPieces(cpu.pool(), x.rows, x.cols, [&](int64_t t, int64_t c, int64_t n) {
    std::memcpy(out.f32(t) + c, x.f32(t) + c, static_cast<size_t>(n) * sizeof(float));
  });
}

void SoftCap(Backend& backend, const Tensor& x, float cap) {
  CheckShape(x, x.rows, x.cols, "SoftCap x");
  FACET_CHECK(cap > 0) << "cap " << cap;
  CpuBackend& cpu = AsCpu(backend);
  const cpu::RowKernels& kernels = *KernelsOf(cpu).rows;
  cpu::ParallelPieces(cpu.pool(), x.rows, x.cols, [&](int64_t t, int64_t c, int64_t n) {
    kernels.soft_cap(x.f32(t) + c, cap, n);
  });
}

}  // namespace facet::ops
