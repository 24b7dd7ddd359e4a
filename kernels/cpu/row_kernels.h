#ifndef FACET_KERNELS_CPU_ROW_KERNELS_H_
#define FACET_KERNELS_CPU_ROW_KERNELS_H_

// Kernels over one row of `n` values, once per CPU level; kernels/ops/ has the formulas. No header
// with inline functions may be included here (see simd.h).

#include <stdint.h>

#include "kernels/cpu/matmul_kernels.h"

namespace facet::cpu {

struct RowKernels {
  // ops/elementwise.h. `out` may be an input.
  void (*gelu_mul)(const float* gate, const float* up, int64_t n, float* out);
  void (*add_scale)(const float* a, const float* b, float scale, int64_t n, float* out);
  void (*scale)(float* x, float scale, int64_t n);
  void (*soft_cap)(float* x, float cap, int64_t n);
  // y += a * x, rounded once
  void (*add_product)(float a, const float* x, int64_t n, float* y);

  // ops/rms_norm.h. A null weight stands for ones; `out` may be `x`.
  void (*rms_norm)(const float* x, const float* weight, int64_t n, float eps, float* out);
  void (*add_rms_norm)(const float* x, const float* weight, int64_t n, float eps, float scale,
                       float* residual);
  // ops/rope.h: one head of n = head_dim values; cos_sin as there.
  void (*rotate)(float* x, const float* cos_sin, int64_t n);

  // out = x * scale, from any alignment.
  void (*widen)(const uint8_t* x, Element element, float scale, int64_t n, float* out);
  // To the nearest bfloat16, ties to even.
  void (*narrow)(const float* x, int64_t n, uint16_t* out);
  // One row of KV pages: n codes, then the float32 scale (kv_pages.h); `element` is kInt8 or kF8.
  // The scale is the largest magnitude over the largest code, and a code the nearest to x / scale,
  // ties to even; all levels give the same bytes. Rows whose scale would be 0 become zeros; with a
  // NaN or an infinity in it, a row's scale is a NaN.
  void (*quantise)(const float* x, Element element, int64_t n, uint8_t* out);
};

}  // namespace facet::cpu

#endif  // FACET_KERNELS_CPU_ROW_KERNELS_H_
