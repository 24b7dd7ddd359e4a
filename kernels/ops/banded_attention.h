#ifndef FACET_KERNELS_OPS_BANDED_ATTENTION_H_
#define FACET_KERNELS_OPS_BANDED_ATTENTION_H_

#include "kernels/backend.h"
#include "kernels/tensor.h"

namespace facet::ops {

// Which keys a row sees, and with what scales.
struct Band {
  int heads = 0;
  int keys_before = 0;  // up to the row itself, itself included
  int keys_ahead = 0;   // and later ones; together at most 2048
  float key_scale = 1;
  float logit_cap = 0;                 // > 0
  const float* query_scale = nullptr;  // [head_dim], on the device
  // What a key's distance adds to it: [keys_ahead + keys_before, columns], dense, on the device;
  // the first is of the key that is furthest ahead.
  const float* distance_keys = nullptr;
};

// Attention of each row to the rows of its band, with a key for each distance (Shaw et al. 2018,
// arXiv:1803.02155):
//   score(t, u) = cap tanh((q_t scale) . (k_u key_scale + r[t - u]) / cap)
//   out_t = sum_u softmax_u(score) v_u
// Shapes: q, k, v, out [tokens, heads * head_dim], apart from each other. In float32.
void BandedAttention(Backend& backend, const Band& band, const Tensor& q, const Tensor& k,
                     const Tensor& v, const Tensor& out);

}  // namespace facet::ops

#endif  // FACET_KERNELS_OPS_BANDED_ATTENTION_H_
