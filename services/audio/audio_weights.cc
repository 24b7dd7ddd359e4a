#include "services/audio/audio_weights.h"

#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "services/audio/mel_features.h"
#include "services/encoder/tower_tensors.h"

namespace facet {
namespace {

constexpr int kFeedForwardFactor = 4;

class Loader {
 public:
  Loader(const AudioConfig& config, const TowerTensors& tensors)
      : config_(config), tensors_(tensors), hidden_(config.hidden_size) {}

  absl::StatusOr<SubsamplingWeights> Subsampling(int i) const;
  absl::StatusOr<AudioLayerWeights> Layer(int i) const;

 private:
  absl::StatusOr<DeviceVector> Norm(const std::string& name, float scale = 1) const {
    FACET_ASSIGN_OR_RETURN(std::vector<float> values, tensors_.Floats(name + ".weight", hidden_));
    for (float& value : values) value *= scale;
    return DeviceVector::Upload(tensors_.backend(), values);
  }
  absl::StatusOr<ClippedLinear> Linear(const std::string& name, int64_t out, int64_t in) const {
    return ClippedLinear::Load(tensors_, name, out, in, config_.clipped_linears);
  }
  absl::StatusOr<AudioFeedForwardWeights> FeedForward(const std::string& name) const;
  absl::StatusOr<AudioAttentionWeights> Attention(const std::string& layer) const;
  absl::StatusOr<AudioConvWeights> Conv(const std::string& name) const;
  absl::StatusOr<std::vector<float>> DistanceKeys(const std::string& attention) const;

  const AudioConfig& config_;
  const TowerTensors& tensors_;
  const int64_t hidden_;
};

// Stored [out, in, time, band]; wanted with the input channel fastest, as the activations have it.
absl::StatusOr<SubsamplingWeights> Loader::Subsampling(int i) const {
  const std::string name = absl::StrCat("subsample_conv_projection.layer", i, ".");
  const int64_t in = i == 0 ? 1 : config_.conv_channels[0], out = config_.conv_channels[i];
  SubsamplingWeights w;
  FACET_ASSIGN_OR_RETURN(w.norm, tensors_.Floats(name + "norm.weight", out));
  FACET_ASSIGN_OR_RETURN(const std::vector<float> stored,
                         tensors_.Floats(name + "conv.weight", out * in * 9));
  std::vector<float> turned(stored.size());
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t c = 0; c < in; ++c) {
      for (int64_t k = 0; k < 9; ++k) turned[(o * 9 + k) * in + c] = stored[(o * in + c) * 9 + k];
    }
  }
  const WeightBlock block = {reinterpret_cast<const uint8_t*>(turned.data()), DType::kF32, out,
                             9 * in, 9 * in};
  FACET_ASSIGN_OR_RETURN(w.conv,
                         WeightMatrix::Pack(tensors_.backend(), {&block, 1}, WeightFormat::kF32));
  return w;
}

absl::StatusOr<AudioFeedForwardWeights> Loader::FeedForward(const std::string& name) const {
  const int64_t width = kFeedForwardFactor * hidden_;
  AudioFeedForwardWeights w;
  FACET_ASSIGN_OR_RETURN(w.pre_norm, Norm(name + ".pre_layer_norm"));
  FACET_ASSIGN_OR_RETURN(w.up, Linear(name + ".ffw_layer_1", width, hidden_));
  FACET_ASSIGN_OR_RETURN(w.down, Linear(name + ".ffw_layer_2", hidden_, width));
  FACET_ASSIGN_OR_RETURN(w.post_norm, Norm(name + ".post_layer_norm", config_.residual_weight));
  return w;
}

// relative_k_proj of the sinusoid of each distance (Vaswani et al. 2017, with sines before
// cosines): it depends on no input, so it is computed once.
absl::StatusOr<std::vector<float>> Loader::DistanceKeys(const std::string& attention) const {
  FACET_ASSIGN_OR_RETURN(const std::vector<float> projection,
                         tensors_.Floats(attention + ".relative_k_proj.weight", hidden_ * hidden_));
  const int64_t half = hidden_ / 2;
  const double step = std::log(10000.0) / static_cast<double>(std::max<int64_t>(half - 1, 1));
  std::vector<float> keys;
  std::vector<float> sinusoid(static_cast<size_t>(hidden_));
  for (int distance = -config_.keys_ahead; distance < config_.attention_keys; ++distance) {
    const int place = distance + config_.distance_offset;
    if (place < 0) {  // past the end of the reference's table
      keys.resize(keys.size() + static_cast<size_t>(hidden_), 0.0f);
      continue;
    }
    for (int64_t i = 0; i < half; ++i) {
      const double angle = place * std::exp(-static_cast<double>(i) * step);
      sinusoid[i] = static_cast<float>(std::sin(angle));
      sinusoid[half + i] = static_cast<float>(std::cos(angle));
    }
    for (int64_t o = 0; o < hidden_; ++o) {
      double sum = 0;
      for (int64_t c = 0; c < hidden_; ++c)
        sum += double{projection[o * hidden_ + c]} * sinusoid[c];
      keys.push_back(static_cast<float>(sum));
    }
  }
  return keys;
}

absl::StatusOr<AudioAttentionWeights> Loader::Attention(const std::string& layer) const {
  const std::string name = layer + "self_attn";
  AudioAttentionWeights w;
  FACET_ASSIGN_OR_RETURN(w.pre_norm, Norm(layer + "norm_pre_attn"));
  FACET_ASSIGN_OR_RETURN(w.post_norm, Norm(layer + "norm_post_attn"));
  FACET_ASSIGN_OR_RETURN(w.q, Linear(name + ".q_proj", hidden_, hidden_));
  FACET_ASSIGN_OR_RETURN(w.k, Linear(name + ".k_proj", hidden_, hidden_));
  FACET_ASSIGN_OR_RETURN(w.v, Linear(name + ".v_proj", hidden_, hidden_));
  FACET_ASSIGN_OR_RETURN(w.post, Linear(name + ".post", hidden_, hidden_));
  FACET_ASSIGN_OR_RETURN(w.distance_keys, DistanceKeys(name));
  FACET_ASSIGN_OR_RETURN(w.query_scale,
                         tensors_.Floats(name + ".per_dim_scale", config_.head_dim()));
  const double fixed = 1 / std::sqrt(static_cast<double>(config_.head_dim())) / std::log(2.0);
  for (float& scale : w.query_scale) {
    scale = static_cast<float>(fixed * std::log1p(std::exp(double{scale})));  // softplus
  }
  return w;
}

absl::StatusOr<AudioConvWeights> Loader::Conv(const std::string& name) const {
  AudioConvWeights w;
  FACET_ASSIGN_OR_RETURN(w.pre_norm, Norm(name + ".pre_layer_norm"));
  FACET_ASSIGN_OR_RETURN(w.start, Linear(name + ".linear_start", 2 * hidden_, hidden_));
  FACET_ASSIGN_OR_RETURN(w.conv_norm, Norm(name + ".conv_norm"));
  FACET_ASSIGN_OR_RETURN(w.end, Linear(name + ".linear_end", hidden_, hidden_));
  const int taps = config_.conv_kernel;
  FACET_ASSIGN_OR_RETURN(const std::vector<float> stored,
                         tensors_.Floats(name + ".depthwise_conv1d.weight", hidden_ * taps));
  w.taps.resize(stored.size());
  for (int64_t c = 0; c < hidden_; ++c) {
    for (int j = 0; j < taps; ++j) w.taps[j * hidden_ + c] = stored[c * taps + j];
  }
  return w;
}

absl::StatusOr<AudioLayerWeights> Loader::Layer(int i) const {
  const std::string layer = absl::StrCat("layers.", i, ".");
  AudioLayerWeights w;
  FACET_ASSIGN_OR_RETURN(w.feed_forward1, FeedForward(layer + "feed_forward1"));
  FACET_ASSIGN_OR_RETURN(w.attention, Attention(layer));
  FACET_ASSIGN_OR_RETURN(w.conv, Conv(layer + "lconv1d"));
  FACET_ASSIGN_OR_RETURN(w.feed_forward2, FeedForward(layer + "feed_forward2"));
  FACET_ASSIGN_OR_RETURN(w.out_norm, Norm(layer + "norm_out"));
  return w;
}

}  // namespace

absl::StatusOr<AudioWeights> AudioWeights::Load(const AudioConfig& config,
                                                const Checkpoint& checkpoint, ComputeMode mode,
                                                Backend* backend) {
  const TowerTensors tensors(checkpoint, "model.audio_tower.", mode, backend);
  const Loader loader(config, tensors);
  AudioWeights w;
  for (int i = 0; i < 2; ++i) {
    FACET_ASSIGN_OR_RETURN(w.subsampling[i], loader.Subsampling(i));
  }
  const int64_t flat = int64_t{kMelBands / 4} * config.conv_channels[1];
  FACET_ASSIGN_OR_RETURN(w.input_projection,
                         tensors.Matrix("subsample_conv_projection.input_proj_linear.weight",
                                        config.hidden_size, flat));
  for (int i = 0; i < config.num_layers; ++i) {
    FACET_ASSIGN_OR_RETURN(AudioLayerWeights layer, loader.Layer(i));
    w.layers.push_back(std::move(layer));
  }
  FACET_ASSIGN_OR_RETURN(
      w.output, tensors.Matrix("output_proj.weight", config.output_size, config.hidden_size));
  FACET_ASSIGN_OR_RETURN(w.output_bias, tensors.Floats("output_proj.bias", config.output_size));
  const TowerTensors embedder(checkpoint, "model.embed_audio.", mode, backend);
  FACET_ASSIGN_OR_RETURN(
      w.projection,
      embedder.Matrix("embedding_projection.weight", config.text_hidden_size, config.output_size));
  return w;
}

}  // namespace facet
