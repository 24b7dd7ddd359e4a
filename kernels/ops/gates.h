#ifndef FACET_KERNELS_OPS_GATES_H_
#define FACET_KERNELS_OPS_GATES_H_

// What stands between the products of a convolution-augmented tower.

#include "kernels/backend.h"
#include "kernels/tensor.h"

namespace facet::ops {

// x = x / (1 + e^-x), in place (SiLU: Elfwing et al. 2017, arXiv:1702.03118).
void Silu(Backend& backend, const Tensor& x);

// out[t, c] = x[t, c] / (1 + e^-x[t, D + c]): a gated linear unit (Dauphin et al. 2016,
// arXiv:1612.08083). Shapes: x [tokens, 2 D], out [tokens, D], apart from each other.
void GatedLinearUnit(Backend& backend, const Tensor& x, const Tensor& out);

// Each channel by itself, over this row and the `taps` - 1 before it:
//   out[t, c] = sum_j taps[j, c] x[t - (taps - 1) + j, c], with zeros before the first row.
// Shapes: x, out [tokens, D], apart from each other; taps [count, D], dense, on the device.
void CausalDepthwiseConv(Backend& backend, const Tensor& x, const float* taps, int count,
                         const Tensor& out);

// x = max(0, (x - mean) / sqrt(variance + eps) * weight), over each row (Ba et al. 2016,
// arXiv:1607.06450), in place. weight [cols] on the device.
void LayerNormRelu(Backend& backend, const float* weight, float eps, const Tensor& x);

}  // namespace facet::ops

#endif  // FACET_KERNELS_OPS_GATES_H_
