#ifndef FACET_KERNELS_OPS_ROPE_2D_H_
#define FACET_KERNELS_OPS_ROPE_2D_H_

#include "kernels/backend.h"
#include "kernels/tensor.h"

namespace facet::ops {

// Rotary embedding of positions in a plane: the first half of each head turns with x, the second
// with y, each in the split-half convention of rope.h; in place.
// Shapes: x [tokens, heads * head_dim], head_dim a multiple of 4; cos_sin_x and cos_sin_y
// [tokens, head_dim / 2] from RopeAngles.
void Rope2d(Backend& backend, const Tensor& x, int head_dim, const Tensor& cos_sin_x,
            const Tensor& cos_sin_y);

}  // namespace facet::ops

#endif  // FACET_KERNELS_OPS_ROPE_2D_H_
