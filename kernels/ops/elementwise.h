#ifndef FACET_KERNELS_OPS_ELEMENTWISE_H_
#define FACET_KERNELS_OPS_ELEMENTWISE_H_

#include "kernels/backend.h"
#include "kernels/tensor.h"

namespace facet::ops {

// out = gelu(gate) * up, with the tanh form of GELU (Hendrycks & Gimpel 2016, arXiv:1606.08415):
// 0.5 u (1 + tanh(sqrt(2/pi) (u + 0.044715 u^3))). Shapes: all [tokens, cols]; out may be gate.
void GeluMul(Backend& backend, const Tensor& gate, const Tensor& up, const Tensor& out);

// out = (a + b) * scale. Shapes: all [tokens, cols]; out may be a or b.
void AddScale(Backend& backend, const Tensor& a, const Tensor& b, float scale, const Tensor& out);

// x = x * scale, in place.
void Scale(Backend& backend, const Tensor& x, float scale);

// out = x: [tokens, cols], not overlapping.
void Copy(Backend& backend, const Tensor& x, const Tensor& out);

// x = cap * tanh(x / cap), in place; cap > 0.
void SoftCap(Backend& backend, const Tensor& x, float cap);

}  // namespace facet::ops

#endif  // FACET_KERNELS_OPS_ELEMENTWISE_H_
