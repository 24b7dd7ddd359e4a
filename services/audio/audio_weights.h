#ifndef FACET_SERVICES_AUDIO_AUDIO_WEIGHTS_H_
#define FACET_SERVICES_AUDIO_AUDIO_WEIGHTS_H_

// The weights of the audio tower and of its projection into the text model.
// Sizes: D the tower's hidden size, C0 and C1 the channels of the two convolutions, O the tower's
// output size, H the text model's hidden size.

#include <array>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "kernels/weight_matrix.h"
#include "model/checkpoint.h"
#include "services/audio/audio_config.h"
#include "services/encoder/clipped_linear.h"
#include "shard/transformer/device_vector.h"
#include "shard/transformer/rank_options.h"

namespace facet {

// 3 x 3, stride 2, over [frames, bands, channels].
struct SubsamplingWeights {
  WeightMatrix conv;        // [out channels, 9 x in channels]: time, band, channel, fastest last
  std::vector<float> norm;  // [out channels]
};

struct AudioFeedForwardWeights {
  DeviceVector pre_norm;   // [D]
  ClippedLinear up, down;  // [4 D, D], [D, 4 D]
  DeviceVector post_norm;  // [D], times the weight of the residual
};

struct AudioAttentionWeights {
  DeviceVector pre_norm, post_norm;  // [D]
  ClippedLinear q, k, v, post;       // [D, D]
  std::vector<float> query_scale;    // [head_dim]
  // What a key's distance adds to it: [keys_ahead + attention_keys, D], the last is the earliest.
  std::vector<float> distance_keys;
};

struct AudioConvWeights {
  DeviceVector pre_norm;    // [D]
  ClippedLinear start;      // [2 D, D]
  std::vector<float> taps;  // [conv_kernel, D]: the last is of the present frame
  DeviceVector conv_norm;   // [D]
  ClippedLinear end;        // [D, D]
};

struct AudioLayerWeights {
  AudioFeedForwardWeights feed_forward1;
  AudioAttentionWeights attention;
  AudioConvWeights conv;
  AudioFeedForwardWeights feed_forward2;
  DeviceVector out_norm;  // [D]
};

struct AudioWeights {
  std::array<SubsamplingWeights, 2> subsampling;
  WeightMatrix input_projection;  // [D, bands / 4 x C1]
  std::vector<AudioLayerWeights> layers;
  WeightMatrix output;             // [O, D]
  std::vector<float> output_bias;  // [O]
  WeightMatrix projection;         // [H, O]

  // InvalidArgument names a tensor that is missing or misshapen; ResourceExhausted without memory.
  static absl::StatusOr<AudioWeights> Load(const AudioConfig& config, const Checkpoint& checkpoint,
                                           ComputeMode mode, Backend* backend);
};

}  // namespace facet

#endif  // FACET_SERVICES_AUDIO_AUDIO_WEIGHTS_H_
