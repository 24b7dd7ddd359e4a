#include "services/vision/vision_tower.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/kv_pages.h"
#include "kernels/ops/attention.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rms_norm.h"
#include "kernels/ops/rope.h"
#include "kernels/ops/rope_2d.h"
#include "services/vision/vision_weights.h"

namespace facet {
namespace {

constexpr int kPagePatches = 64;  // of the keys and values of a layer

// The patches of one image among those of its batch.
struct ImageRows {
  int64_t first = 0;
  int rows = 0, columns = 0;       // of patches
  std::vector<int32_t> pages;      // of its keys and values
  std::vector<int32_t> last_seen;  // by patch: all of them see all of the image

  int64_t patches() const { return int64_t{rows} * columns; }
};

struct Batch {
  std::vector<ImageRows> images;
  std::vector<AttentionSequence> sequences;  // point into `images`
  std::vector<int32_t> x, y;                 // position of each patch
  int64_t patches = 0;
  int pages = 0;
};

// Activations of a batch. P patches, D hidden size, A = heads x head_dim, K = KV heads x head_dim,
// F MLP width.
struct Activations {
  Buffer pixels;                // [P, patch values]
  Buffer residual;              // [P, D]
  Buffer normed, clipped;       // [P, D]
  Buffer query;                 // [P, A]
  Buffer key, value;            // [P, K]
  Buffer heads, heads_clipped;  // [P, A]
  Buffer gate, up;              // [P, F]
  Buffer partial;               // [P, D]
  Buffer cos_sin_x, cos_sin_y;  // [P, head_dim / 2]
  Buffer k_pages, v_pages;      // [pages, KV heads, kPagePatches, head_dim]
};

// 2 (byte / 255 - 1/2), in the reference's float32 steps.
const std::array<float, 256>& PixelValues() {
  static const std::array<float, 256> values = [] {
    std::array<float, 256> v;
    for (int i = 0; i < 256; ++i) v[i] = 2 * (static_cast<float>(i / 255.0) - 0.5f);
    return v;
  }();
  return values;
}

// Patches row by row; within a patch rows, columns, then R G B.
void CutIntoPatches(const RgbImage& image, const ImageRows& rows, int patch, const Tensor& out) {
  const std::array<float, 256>& values = PixelValues();
  for (int64_t p = 0; p < rows.patches(); ++p) {
    const int top = static_cast<int>(p / rows.columns) * patch;
    const int left = static_cast<int>(p % rows.columns) * patch;
    float* to = out.f32(rows.first + p);
    for (int y = 0; y < patch; ++y) {
      const uint8_t* from = image.row(top + y) + 3 * left;
      for (int i = 0; i < 3 * patch; ++i) *to++ = values[from[i]];
    }
  }
}

}  // namespace

struct VisionTower::Impl {
  VisionConfig config;
  VisionWeights weights;
  Backend* backend = nullptr;
  Activations a;
  int64_t patch_capacity = 0;
  int page_capacity = 0;
  std::vector<float> frequencies;

  int64_t hidden() const { return config.hidden_size; }
  int64_t attention_width() const { return int64_t{config.num_heads} * config.head_dim; }
  int64_t kv_width() const { return int64_t{config.num_kv_heads} * config.head_dim; }
  float eps() const { return static_cast<float>(config.rms_norm_eps); }

  absl::Status CheckImage(const RgbImage& image) const;
  absl::StatusOr<Batch> MakeBatch(absl::Span<const RgbImage> images) const;
  absl::Status Reserve(const Batch& batch);
  void Embed(absl::Span<const RgbImage> images, const Batch& batch);
  void RunAttention(const VisionLayerWeights& layer, const Batch& batch);
  void RunMlp(const VisionLayerWeights& layer, const Batch& batch);
  std::vector<float> Pool(const ImageRows& image, const Tensor& residual) const;
  absl::StatusOr<std::vector<float>> Project(const std::vector<float>& pooled) const;
};

absl::Status VisionTower::Impl::CheckImage(const RgbImage& image) const {
  const int block = config.patches.block();
  if (image.height < block || image.width < block || image.height % block != 0 ||
      image.width % block != 0) {
    return absl::InvalidArgumentError(absl::StrCat("an image of ", image.width, " x ", image.height,
                                                   " pixels; sides must be multiples of ", block));
  }
  const int side = std::max(image.height, image.width) / config.patches.patch;
  if (side > config.position_table_size) {
    return absl::InvalidArgumentError(absl::StrCat("an image of ", side,
                                                   " patches along a side; the model has ",
                                                   config.position_table_size, " positions"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Batch> VisionTower::Impl::MakeBatch(absl::Span<const RgbImage> images) const {
  Batch batch;
  for (const RgbImage& image : images) {
    FACET_RETURN_IF_ERROR(CheckImage(image));
    ImageRows rows;
    rows.first = batch.patches;
    rows.rows = image.height / config.patches.patch;
    rows.columns = image.width / config.patches.patch;
    const auto patches = static_cast<int32_t>(rows.patches());
    for (int32_t p = 0; p < patches; p += kPagePatches) rows.pages.push_back(batch.pages++);
    rows.last_seen.assign(static_cast<size_t>(patches), patches);
    for (int32_t p = 0; p < patches; ++p) {
      batch.x.push_back(p % rows.columns);
      batch.y.push_back(p / rows.columns);
    }
    batch.patches += patches;
    batch.images.push_back(std::move(rows));
  }
  for (const ImageRows& rows : batch.images) {
    AttentionSequence sequence;
    sequence.first_row = rows.first;
    sequence.num_rows = rows.patches();
    sequence.pages = rows.pages;
    sequence.visible_end = rows.last_seen;
    batch.sequences.push_back(sequence);
  }
  return batch;
}

absl::Status VisionTower::Impl::Reserve(const Batch& batch) {
  const auto allocate = [this](Buffer* buffer, int64_t rows, int64_t cols) -> absl::Status {
    *buffer = Buffer();  // before the new one is taken
    FACET_ASSIGN_OR_RETURN(*buffer, backend->Allocate(static_cast<size_t>(rows * cols * 4)));
    return absl::OkStatus();
  };
  if (batch.patches > patch_capacity) {
    const int64_t p = batch.patches, width = config.intermediate_size;
    const int64_t patch_values = int64_t{3} * config.patches.patch * config.patches.patch;
    FACET_RETURN_IF_ERROR(allocate(&a.pixels, p, patch_values));
    for (Buffer* buffer : {&a.residual, &a.normed, &a.clipped, &a.partial}) {
      FACET_RETURN_IF_ERROR(allocate(buffer, p, hidden()));
    }
    for (Buffer* buffer : {&a.query, &a.heads, &a.heads_clipped}) {
      FACET_RETURN_IF_ERROR(allocate(buffer, p, attention_width()));
    }
    for (Buffer* buffer : {&a.key, &a.value}) {
      FACET_RETURN_IF_ERROR(allocate(buffer, p, kv_width()));
    }
    for (Buffer* buffer : {&a.gate, &a.up}) FACET_RETURN_IF_ERROR(allocate(buffer, p, width));
    for (Buffer* buffer : {&a.cos_sin_x, &a.cos_sin_y}) {
      FACET_RETURN_IF_ERROR(allocate(buffer, p, config.head_dim / 2));
    }
    patch_capacity = p;
  }
  if (batch.pages > page_capacity) {
    const int64_t rows = int64_t{batch.pages} * kPagePatches;
    for (Buffer* buffer : {&a.k_pages, &a.v_pages}) {
      FACET_RETURN_IF_ERROR(allocate(buffer, rows, kv_width()));
    }
    page_capacity = batch.pages;
  }
  return absl::OkStatus();
}

void VisionTower::Impl::Embed(absl::Span<const RgbImage> images, const Batch& batch) {
  const int64_t p = batch.patches;
  const int patch = config.patches.patch;
  const Tensor pixels = a.pixels.View(p, int64_t{3} * patch * patch);
  for (size_t i = 0; i < images.size(); ++i) {
    CutIntoPatches(images[i], batch.images[i], patch, pixels);
  }
  const Tensor residual = a.residual.View(p, hidden());
  ops::MatMul(*backend, pixels, weights.patch_projection, residual);
  for (int64_t t = 0; t < p; ++t) {
    const float* const column = weights.column_table.data() + batch.x[t] * hidden();
    const float* const row = weights.row_table.data() + batch.y[t] * hidden();
    float* const to = residual.f32(t);
    for (int64_t c = 0; c < hidden(); ++c) to[c] += column[c] + row[c];
  }
  ops::RopeAngles(*backend, batch.x, frequencies, a.cos_sin_x.View(p, config.head_dim / 2));
  ops::RopeAngles(*backend, batch.y, frequencies, a.cos_sin_y.View(p, config.head_dim / 2));
}

void VisionTower::Impl::RunAttention(const VisionLayerWeights& layer, const Batch& batch) {
  const int64_t p = batch.patches;
  const Tensor residual = a.residual.View(p, hidden());
  const Tensor normed = a.normed.View(p, hidden()), clipped = a.clipped.View(p, hidden());
  const Tensor q = a.query.View(p, attention_width());
  const Tensor k = a.key.View(p, kv_width()), v = a.value.View(p, kv_width());
  const Tensor x_angles = a.cos_sin_x.View(p, config.head_dim / 2);
  const Tensor y_angles = a.cos_sin_y.View(p, config.head_dim / 2);
  ops::RmsNorm(*backend, residual, layer.input_norm.data(), eps(), normed);
  layer.q.Apply(*backend, normed, clipped, q);
  layer.k.Apply(*backend, normed, clipped, k);
  layer.v.Apply(*backend, normed, clipped, v);
  ops::HeadNormRope(*backend, q, config.head_dim, layer.q_norm.data(), eps(), Tensor());
  ops::HeadNormRope(*backend, k, config.head_dim, layer.k_norm.data(), eps(), Tensor());
  ops::HeadNormRope(*backend, v, config.head_dim, nullptr, eps(), Tensor());
  ops::Rope2d(*backend, q, config.head_dim, x_angles, y_angles);
  ops::Rope2d(*backend, k, config.head_dim, x_angles, y_angles);

  KvPages pages;
  pages.k = a.k_pages.data();
  pages.v = a.v_pages.data();
  pages.num_pages = batch.pages;
  pages.kv_heads = config.num_kv_heads;
  pages.page_tokens = kPagePatches;
  pages.head_dim = config.head_dim;
  const Tensor heads = a.heads.View(p, attention_width());
  ops::StoreKv(*backend, k, v, batch.sequences, pages);
  ops::PagedAttention(*backend, q, pages, batch.sequences, /*window=*/0, heads);
  const Tensor partial = a.partial.View(p, hidden());
  layer.output.Apply(*backend, heads, a.heads_clipped.View(p, attention_width()), partial);
  ops::AddRmsNorm(*backend, partial, layer.post_attention_norm.data(), eps(), 1, residual);
}

void VisionTower::Impl::RunMlp(const VisionLayerWeights& layer, const Batch& batch) {
  const int64_t p = batch.patches, width = config.intermediate_size;
  const Tensor residual = a.residual.View(p, hidden());
  const Tensor normed = a.normed.View(p, hidden()), clipped = a.clipped.View(p, hidden());
  const Tensor gate = a.gate.View(p, width), up = a.up.View(p, width);
  const Tensor partial = a.partial.View(p, hidden());
  ops::RmsNorm(*backend, residual, layer.pre_feedforward_norm.data(), eps(), normed);
  layer.gate.Apply(*backend, normed, clipped, gate);
  layer.up.Apply(*backend, normed, clipped, up);
  ops::GeluMul(*backend, gate, up, gate);
  layer.down.Apply(*backend, gate, gate, partial);
  ops::AddRmsNorm(*backend, partial, layer.post_feedforward_norm.data(), eps(), 1, residual);
}

// The mean of each block of patches, times sqrt(D), standardized where the tower says so.
std::vector<float> VisionTower::Impl::Pool(const ImageRows& image, const Tensor& residual) const {
  const int pooling = config.patches.pooling;
  const int block_columns = image.columns / pooling;
  const int64_t count = int64_t{image.rows / pooling} * block_columns;
  const float weight = 1.0f / static_cast<float>(pooling * pooling);
  const float scale = std::sqrt(static_cast<float>(hidden()));
  std::vector<float> pooled(static_cast<size_t>(count * hidden()), 0.0f);
  for (int64_t t = 0; t < image.patches(); ++t) {
    const int64_t block = t / image.columns / pooling * block_columns + t % image.columns / pooling;
    const float* const from = residual.f32(image.first + t);
    float* const to = pooled.data() + block * hidden();
    for (int64_t c = 0; c < hidden(); ++c) to[c] += from[c] * weight;
  }
  for (int64_t i = 0; i < count * hidden(); ++i) {
    pooled[i] *= scale;
    if (!config.standardize) continue;
    const int64_t c = i % hidden();
    pooled[i] = (pooled[i] - weights.std_bias[c]) * weights.std_scale[c];
  }
  return pooled;
}

absl::StatusOr<std::vector<float>> VisionTower::Impl::Project(
    const std::vector<float>& pooled) const {
  const auto count = static_cast<int64_t>(pooled.size()) / hidden();
  FACET_ASSIGN_OR_RETURN(const Buffer in, backend->Allocate(pooled.size() * sizeof(float)));
  FACET_ASSIGN_OR_RETURN(
      const Buffer out,
      backend->Allocate(static_cast<size_t>(count * config.text_hidden_size * 4)));
  const Tensor x = in.View(count, hidden()), y = out.View(count, config.text_hidden_size);
  std::copy(pooled.begin(), pooled.end(), x.f32());
  ops::RmsNorm(*backend, x, nullptr, eps(), x);
  ops::MatMul(*backend, x, weights.projection, y);
  return std::vector<float>(y.f32(), y.f32() + count * config.text_hidden_size);
}

VisionTower::VisionTower(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
VisionTower::~VisionTower() = default;

const VisionConfig& VisionTower::config() const { return impl_->config; }

absl::StatusOr<std::unique_ptr<VisionTower>> VisionTower::Load(const VisionConfig& config,
                                                               const Checkpoint& checkpoint,
                                                               ComputeMode mode, Backend* backend) {
  auto impl = std::make_unique<Impl>();
  impl->config = config;
  impl->backend = backend;
  impl->frequencies = ops::RopeFrequencies(config.head_dim / 2, config.rope_theta, 1, 1);
  FACET_ASSIGN_OR_RETURN(impl->weights, VisionWeights::Load(config, checkpoint, mode, backend));
  return std::unique_ptr<VisionTower>(new VisionTower(std::move(impl)));
}

absl::StatusOr<std::vector<SoftImage>> VisionTower::Encode(absl::Span<const RgbImage> images) {
  FACET_ASSIGN_OR_RETURN(const Batch batch, impl_->MakeBatch(images));
  if (batch.patches == 0) return std::vector<SoftImage>();
  FACET_RETURN_IF_ERROR(impl_->Reserve(batch));
  impl_->Embed(images, batch);
  for (const VisionLayerWeights& layer : impl_->weights.layers) {
    impl_->RunAttention(layer, batch);
    impl_->RunMlp(layer, batch);
  }
  const Tensor residual = impl_->a.residual.View(batch.patches, impl_->hidden());
  std::vector<SoftImage> out;
  for (const ImageRows& image : batch.images) {
    SoftImage soft;
    soft.pooled = impl_->Pool(image, residual);
    soft.count = static_cast<int>(static_cast<int64_t>(soft.pooled.size()) / impl_->hidden());
    FACET_ASSIGN_OR_RETURN(soft.soft, impl_->Project(soft.pooled));
    out.push_back(std::move(soft));
  }
  return out;
}

}  // namespace facet
