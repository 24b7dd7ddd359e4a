#ifndef FACET_SERVICES_AUDIO_BANDED_ATTENTION_H_
#define FACET_SERVICES_AUDIO_BANDED_ATTENTION_H_

#include <cstdint>

#include "kernels/cpu/thread_pool.h"
#include "kernels/tensor.h"
#include "services/audio/audio_config.h"
#include "services/audio/audio_weights.h"

namespace facet {

// Attention of each frame of a clip to itself, the config.attention_keys - 1 frames before it and
// config.keys_ahead behind it, with a key for each distance (Shaw et al. 2018, arXiv:1803.02155):
//   score(t, u) = cap tanh((q_t . (k_u + r[t - u])) / cap),  out_t = sum_u softmax_u(score) v_u
// where q and k come scaled (query_scale, and ln(1 + e) / ln 2 for keys: both applied here).
// Shapes: q, k, v, out [frames, hidden], apart from each other. In float32.
void BandedAttention(ThreadPool& pool, const AudioConfig& config,
                     const AudioAttentionWeights& weights, const Tensor& q, const Tensor& k,
                     const Tensor& v, const Tensor& out);

}  // namespace facet

#endif  // FACET_SERVICES_AUDIO_BANDED_ATTENTION_H_
