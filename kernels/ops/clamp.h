#ifndef FACET_KERNELS_OPS_CLAMP_H_
#define FACET_KERNELS_OPS_CLAMP_H_

#include "kernels/backend.h"
#include "kernels/tensor.h"

namespace facet::ops {

// out = min(max(x, low), high). Shapes: x, out [tokens, cols]; out may be x; low <= high.
void Clamp(Backend& backend, const Tensor& x, float low, float high, const Tensor& out);

}  // namespace facet::ops

#endif  // FACET_KERNELS_OPS_CLAMP_H_
