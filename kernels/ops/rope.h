#ifndef FACET_KERNELS_OPS_ROPE_H_
#define FACET_KERNELS_OPS_ROPE_H_

// Rotary position embedding (Su et al. 2021, arXiv:2104.09864) in the split-half convention, with
// Gemma 4's two kinds: "default" (all pairs rotate) and "proportional" (only the first
// partial_rotary_factor * head_dim / 2 pairs do; their frequencies still use the full head_dim).

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "kernels/backend.h"
#include "kernels/tensor.h"

namespace facet::ops {

// Frequencies [head_dim / 2] in radians per position; 0 where a pair does not rotate. float32
// arithmetic as in the reference: f_i = 1 / theta^(2i/head_dim) / factor.
std::vector<float> RopeFrequencies(int head_dim, double theta, double rotary_fraction,
                                   double factor);

// cos and sin of position * frequency for the tokens of one step, computed once per step and kind
// and shared by its layers. angle = float32(position) * frequency, cos and sin accurate at any
// angle. Shapes: cos_sin [tokens, head_dim]: cos in the first half of a row, sin in the second.
void RopeAngles(Backend& backend, absl::Span<const int32_t> positions,
                absl::Span<const float> frequencies, const Tensor& cos_sin);

// Per head: x = rope(rmsnorm(x) * weight), in place.
// Shapes: x [tokens, heads * head_dim]; weight [head_dim] f32, null: all ones; cos_sin
// [tokens, head_dim] from RopeAngles, or a Tensor with null data for no rotation (values, and the
// per-layer context of E2B/E4B, whose "heads" are layers).
void HeadNormRope(Backend& backend, const Tensor& x, int head_dim, const float* weight, float eps,
                  const Tensor& cos_sin);

}  // namespace facet::ops

#endif  // FACET_KERNELS_OPS_ROPE_H_
