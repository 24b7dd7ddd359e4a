#include "services/audio/audio_tower.h"

#include <cstdint>
#include <utility>

#include "base/log.h"
#include "base/status_macros.h"
#include "kernels/ops/banded_attention.h"
#include "kernels/ops/clamp.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/gates.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rms_norm.h"
#include "services/audio/audio_weights.h"
#include "services/audio/mel_features.h"
#include "services/audio/subsampling.h"

namespace facet {
namespace {

constexpr float kUnreached = 1e10f;
constexpr float kKeyScale = 1.8946361239720115f;  // ln(1 + e) / ln 2

struct ClipRows {
  int64_t first = 0;
  int64_t count = 0;
};

// Activations of a batch. T frames after subsampling, of all clips; D hidden size.
struct Activations {
  Buffer residual;         // [T, D]
  Buffer normed, clipped;  // [T, D]
  Buffer q, k, v, mixed;   // [T, D]
  Buffer wide, partial;    // [T, 4 D], [T, D]

  int64_t capacity = 0;  // frames

  absl::Status Reserve(Backend& backend, int64_t frames, int64_t hidden) {
    if (frames <= capacity) return absl::OkStatus();
    capacity = 0;
    for (Buffer* buffer : {&residual, &normed, &clipped, &q, &k, &v, &mixed, &partial, &wide}) {
      *buffer = Buffer();  // before the new one is taken
      const int64_t width = buffer == &wide ? 4 * hidden : hidden;
      FACET_ASSIGN_OR_RETURN(*buffer, backend.Allocate(static_cast<size_t>(frames * width * 4)));
    }
    capacity = frames;
    return absl::OkStatus();
  }
};

}  // namespace

struct AudioTower::Impl {
  AudioConfig config;
  AudioWeights weights;
  Backend* backend = nullptr;
  Activations a;  // of the last batch; kept for the next

  int64_t hidden() const { return config.hidden_size; }
  float eps() const { return static_cast<float>(config.rms_norm_eps); }

  // x within +-gradient_clipping: in `out`, or x itself where no activation gets near the bounds,
  // as released.
  Tensor Bounded(const Tensor& x, const Tensor& out) const {
    if (config.gradient_clipping >= kUnreached) return x;
    ops::Clamp(*backend, x, -config.gradient_clipping, config.gradient_clipping, out);
    return out;
  }
  ops::Band BandOf(const AudioAttentionWeights& w) const;
  absl::StatusOr<FrameMap> SubsampleClip(const std::vector<float>& mel) const;
  void FeedForward(const AudioFeedForwardWeights& w, int64_t frames) const;
  void Attention(const AudioAttentionWeights& w, const std::vector<ClipRows>& clips,
                 int64_t frames) const;
  void Convolution(const AudioConvWeights& w, const std::vector<ClipRows>& clips,
                   int64_t frames) const;
  absl::StatusOr<SoftAudio> Exit(const Tensor& frames) const;
};

ops::Band AudioTower::Impl::BandOf(const AudioAttentionWeights& w) const {
  ops::Band band;
  band.heads = config.num_heads;
  band.keys_before = config.attention_keys;
  band.keys_ahead = config.keys_ahead;
  band.key_scale = kKeyScale;
  band.logit_cap = config.logit_cap;
  band.query_scale = w.query_scale.data();
  band.distance_keys = w.distance_keys.data();
  return band;
}

absl::StatusOr<FrameMap> AudioTower::Impl::SubsampleClip(const std::vector<float>& mel) const {
  FrameMap map;
  map.frames = static_cast<int>(mel.size() / kMelBands);
  map.bands = kMelBands;
  map.channels = 1;
  map.values = mel;
  for (const SubsamplingWeights& w : weights.subsampling) {
    FACET_ASSIGN_OR_RETURN(map, Subsample(*backend, map, w, eps()));
  }
  return map;
}

void AudioTower::Impl::FeedForward(const AudioFeedForwardWeights& w, int64_t frames) const {
  const Tensor residual = a.residual.View(frames, hidden());
  const Tensor normed = a.normed.View(frames, hidden());
  const Tensor wide = a.wide.View(frames, 4 * hidden());
  const Tensor partial = a.partial.View(frames, hidden());
  ops::RmsNorm(*backend, Bounded(residual, normed), w.pre_norm.data(), kHalfLayerNormEps, normed);
  w.up.Apply(*backend, normed, normed, wide);
  ops::Silu(*backend, wide);
  w.down.Apply(*backend, wide, wide, partial);
  ops::AddRmsNorm(*backend, Bounded(partial, partial), w.post_norm.data(), kHalfLayerNormEps, 1,
                  residual);
}

void AudioTower::Impl::Attention(const AudioAttentionWeights& w, const std::vector<ClipRows>& clips,
                                 int64_t frames) const {
  const Tensor residual = a.residual.View(frames, hidden());
  const Tensor normed = a.normed.View(frames, hidden());
  const Tensor clipped = a.clipped.View(frames, hidden());
  const Tensor q = a.q.View(frames, hidden()), k = a.k.View(frames, hidden());
  const Tensor v = a.v.View(frames, hidden()), mixed = a.mixed.View(frames, hidden());
  const Tensor partial = a.partial.View(frames, hidden());
  ops::RmsNorm(*backend, Bounded(residual, normed), w.pre_norm.data(), kHalfLayerNormEps, normed);
  w.q.Apply(*backend, normed, clipped, q);
  w.k.Apply(*backend, normed, clipped, k);
  w.v.Apply(*backend, normed, clipped, v);
  const ops::Band band = BandOf(w);
  for (const ClipRows& clip : clips) {
    ops::BandedAttention(*backend, band, q.Rows(clip.first, clip.count),
                         k.Rows(clip.first, clip.count), v.Rows(clip.first, clip.count),
                         mixed.Rows(clip.first, clip.count));
  }
  w.post.Apply(*backend, mixed, mixed, partial);
  ops::AddRmsNorm(*backend, Bounded(partial, partial), w.post_norm.data(), kHalfLayerNormEps, 1,
                  residual);
}

void AudioTower::Impl::Convolution(const AudioConvWeights& w, const std::vector<ClipRows>& clips,
                                   int64_t frames) const {
  const Tensor residual = a.residual.View(frames, hidden());
  const Tensor normed = a.normed.View(frames, hidden());
  const Tensor both = a.wide.View(frames, 2 * hidden());
  const Tensor gated = a.q.View(frames, hidden()), mixed = a.mixed.View(frames, hidden());
  const Tensor partial = a.partial.View(frames, hidden());
  ops::RmsNorm(*backend, residual, w.pre_norm.data(), eps(), normed);
  w.start.Apply(*backend, normed, normed, both);
  ops::GatedLinearUnit(*backend, both, gated);
  for (const ClipRows& clip : clips) {
    ops::CausalDepthwiseConv(*backend, gated.Rows(clip.first, clip.count), w.taps.data(),
                             config.conv_kernel, mixed.Rows(clip.first, clip.count));
  }
  ops::RmsNorm(*backend, Bounded(mixed, mixed), w.conv_norm.data(), eps(), mixed);
  ops::Silu(*backend, mixed);
  w.end.Apply(*backend, mixed, mixed, partial);
  ops::AddScale(*backend, partial, residual, 1, residual);
}

// frames: one clip's rows of the residual, [count, D].
absl::StatusOr<SoftAudio> AudioTower::Impl::Exit(const Tensor& frames) const {
  const int64_t count = frames.rows, out_size = config.output_size, text = config.text_hidden_size;
  FACET_ASSIGN_OR_RETURN(const Buffer tower,
                         backend->Allocate(static_cast<size_t>(count * out_size * 4)));
  FACET_ASSIGN_OR_RETURN(const Buffer soft,
                         backend->Allocate(static_cast<size_t>(count * text * 4)));
  const Tensor x = tower.View(count, out_size), y = soft.View(count, text);
  ops::MatMul(*backend, frames, weights.output, x);
  for (int64_t t = 0; t < count; ++t) {
    for (int64_t c = 0; c < out_size; ++c) x.f32(t)[c] += weights.output_bias[c];
  }
  SoftAudio audio;
  audio.count = static_cast<int>(count);
  audio.tower.assign(x.f32(), x.f32() + count * out_size);
  ops::RmsNorm(*backend, x, nullptr, eps(), x);
  ops::MatMul(*backend, x, weights.projection, y);
  audio.soft.assign(y.f32(), y.f32() + count * text);
  return audio;
}

AudioTower::AudioTower(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AudioTower::~AudioTower() = default;

const AudioConfig& AudioTower::config() const { return impl_->config; }

absl::StatusOr<std::unique_ptr<AudioTower>> AudioTower::Load(const AudioConfig& config,
                                                             const Checkpoint& checkpoint,
                                                             ComputeMode mode, Backend* backend) {
  auto impl = std::make_unique<Impl>();
  impl->config = config;
  impl->backend = backend;
  FACET_ASSIGN_OR_RETURN(impl->weights, AudioWeights::Load(config, checkpoint, mode, backend));
  return std::unique_ptr<AudioTower>(new AudioTower(std::move(impl)));
}

absl::StatusOr<std::vector<SoftAudio>> AudioTower::Encode(
    absl::Span<const std::vector<float>> clips) {
  std::vector<FrameMap> maps;
  std::vector<ClipRows> rows;
  int64_t frames = 0;
  for (const std::vector<float>& mel : clips) {
    FACET_CHECK(mel.size() >= kMelBands && mel.size() % kMelBands == 0) << mel.size();
    FACET_ASSIGN_OR_RETURN(FrameMap map, impl_->SubsampleClip(mel));
    rows.push_back({frames, map.frames});
    frames += map.frames;
    maps.push_back(std::move(map));
  }
  if (frames == 0) return std::vector<SoftAudio>();
  FACET_RETURN_IF_ERROR(impl_->a.Reserve(*impl_->backend, frames, impl_->hidden()));
  const Tensor residual = impl_->a.residual.View(frames, impl_->hidden());
  for (size_t i = 0; i < maps.size(); ++i) {
    const int64_t flat = int64_t{maps[i].bands} * maps[i].channels;
    const Tensor x = {maps[i].values.data(), DType::kF32, maps[i].frames, flat, flat};
    ops::MatMul(*impl_->backend, x, impl_->weights.input_projection,
                residual.Rows(rows[i].first, rows[i].count));
  }
  for (const AudioLayerWeights& layer : impl_->weights.layers) {
    impl_->FeedForward(layer.feed_forward1, frames);
    impl_->Attention(layer.attention, rows, frames);
    impl_->Convolution(layer.conv, rows, frames);
    impl_->FeedForward(layer.feed_forward2, frames);
    ops::RmsNorm(*impl_->backend, impl_->Bounded(residual, residual), layer.out_norm.data(),
                 kHalfLayerNormEps, residual);
  }
  std::vector<SoftAudio> out;
  for (const ClipRows& clip : rows) {
    FACET_ASSIGN_OR_RETURN(SoftAudio soft, impl_->Exit(residual.Rows(clip.first, clip.count)));
    out.push_back(std::move(soft));
  }
  return out;
}

}  // namespace facet
