#include "kernels/ops/matmul.h"

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/scratch.h"
#include "kernels/ops/check.h"

namespace facet::ops {

void MatMul(Backend& backend, const Tensor& x, const WeightMatrix& w, const Tensor& out) {
  CheckShape(x, x.rows, w.in(), "MatMul x");
  CheckShape(out, x.rows, w.out(), "MatMul out");
  CpuBackend& cpu = AsCpu(backend);
  auto* rows = cpu.scratch().Get<const float*>(Scratch::kRows, x.rows);
  for (int64_t t = 0; t < x.rows; ++t) rows[t] = x.f32(t);
  const cpu::MatMulJob job = {&w, rows, x.rows, out.f32(), out.row_stride};
  cpu::RunMatMuls(cpu, *KernelsOf(cpu).matmul, {&job, 1});
}

}  // namespace facet::ops
