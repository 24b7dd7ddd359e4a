#ifndef FACET_SERVICES_AUDIO_AUDIO_CONFIG_H_
#define FACET_SERVICES_AUDIO_AUDIO_CONFIG_H_

#include <array>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace facet {

// The norms of feed-forward and attention halves have this whatever rms_norm_eps says: so has the
// reference.
constexpr float kHalfLayerNormEps = 1e-6f;

// The audio part of a checkpoint's config.json, validated.
struct AudioConfig {
  int hidden_size = 0;
  int num_layers = 0;
  int num_heads = 0;
  std::array<int, 2> conv_channels = {128, 32};  // of the two subsampling convolutions
  int conv_kernel = 5;                           // frames of the depthwise convolution
  float residual_weight = 0.5f;                  // of the feed-forward halves
  int attention_keys = 12;  // frames up to itself that a frame attends to, itself included
  int keys_ahead = 0;       // and later ones
  // What the reference's skewing of its table adds to a distance; 0 as released.
  int distance_offset = 0;
  float logit_cap = 50;
  float gradient_clipping = 1e10f;  // bounds of activations before norms
  double rms_norm_eps = 1e-6;       // of convolutions and of the projection: see kHalfLayerNormEps
  bool clipped_linears = false;
  int output_size = 0;       // of the tower, before the projection
  int text_hidden_size = 0;  // width of a soft token

  int head_dim() const { return hidden_size / num_heads; }
};

// InvalidArgument names the key, its value and what is allowed; FailedPrecondition if there is no
// audio_config: the model takes no audio.
absl::StatusOr<AudioConfig> ParseAudioConfig(absl::string_view json);

// Reads `model_dir`/config.json.
absl::StatusOr<AudioConfig> LoadAudioConfig(const std::string& model_dir);

}  // namespace facet

#endif  // FACET_SERVICES_AUDIO_AUDIO_CONFIG_H_
