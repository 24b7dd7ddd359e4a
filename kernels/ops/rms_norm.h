#ifndef FACET_KERNELS_OPS_RMS_NORM_H_
#define FACET_KERNELS_OPS_RMS_NORM_H_

// RMSNorm (Zhang & Sennrich 2019, eq. 4, arXiv:1910.07467) as Gemma 4 uses it: eps inside the root,
// the weight itself as the multiplier, all in float32.

#include "kernels/backend.h"
#include "kernels/tensor.h"

namespace facet::ops {

// out[t, c] = x[t, c] / sqrt(mean_c(x[t, :]^2) + eps) * weight[c]
// Shapes: x, out [tokens, cols] (out may be x); weight [cols] f32 on the device, null: all ones.
void RmsNorm(Backend& backend, const Tensor& x, const float* weight, float eps, const Tensor& out);

// residual[t, c] = (residual[t, c] + rmsnorm(x)[t, c]) * scale: the close of a half layer in one
// pass. Shapes: x, residual [tokens, cols]; weight [cols].
void AddRmsNorm(Backend& backend, const Tensor& x, const float* weight, float eps, float scale,
                const Tensor& residual);

}  // namespace facet::ops

#endif  // FACET_KERNELS_OPS_RMS_NORM_H_
