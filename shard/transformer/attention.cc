#include "shard/transformer/attention.h"

#include "base/status_macros.h"
#include "kernels/ops/attention.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rms_norm.h"
#include "kernels/ops/rope.h"
#include "shard/transformer/kept_rows.h"

namespace facet {
namespace {

// Finishes the raw keys of `qkv` and stores them with their values in the layer's pages.
// qkv: [rows, q + k + v], of which v is still to be made where V is K's projection.
void StoreKeysAndValues(const StepContext& step, int i, const Tensor& qkv) {
  const RankParts& rank = step.rank;
  const LayerConfig& layer = rank.config.layers[i];
  const AttentionWeights& weights = rank.weights.layer(i).attention;
  const auto eps = static_cast<float>(rank.config.rms_norm_eps);
  const int64_t kv_columns = rank.slice.layers[i].kv_heads.count * layer.head_dim;
  const Tensor k = qkv.Columns(qkv.cols - 2 * kv_columns, kv_columns);
  const Tensor v = qkv.Columns(qkv.cols - kv_columns, kv_columns);
  if (layer.k_eq_v) ops::Copy(rank.backend, k, v);  // before the norm and the rotation of k
  ops::HeadNormRope(rank.backend, k, layer.head_dim, weights.k_norm.data(), eps,
                    step.Rotary(layer.kind));
  ops::HeadNormRope(rank.backend, v, layer.head_dim, nullptr, eps, Tensor());
  ops::StoreKv(rank.backend, k, v, step.batch.Sequences(layer.kind), rank.kv.layer(i));
}

// Computes the layer's queries for every row and stores its keys and values if it owns any.
// Returns the queries: [rows, q].
Tensor ProjectAndStore(const StepContext& step, int i) {
  const RankParts& rank = step.rank;
  const LayerConfig& layer = rank.config.layers[i];
  const LayerSlice& slice = rank.slice.layers[i];
  const LayerWeights& weights = rank.weights.layer(i);
  const auto eps = static_cast<float>(rank.config.rms_norm_eps);
  const int64_t rows = step.batch.num_rows;
  const int64_t q_columns = slice.query_heads.count * layer.head_dim;
  const int64_t kv_columns = layer.owns_kv ? slice.kv_heads.count * layer.head_dim : 0;

  const Tensor normed = rank.scratch.normed.View(rows, rank.config.hidden_size);
  ops::RmsNorm(rank.backend, step.residual, weights.input_norm.data(), eps, normed);
  const Tensor qkv = rank.scratch.qkv.View(rows, q_columns + 2 * kv_columns);
  ops::MatMul(rank.backend, normed, weights.attention.qkv,
              qkv.Columns(0, weights.attention.qkv.out()));
  const Tensor q = qkv.Columns(0, q_columns);
  ops::HeadNormRope(rank.backend, q, layer.head_dim, weights.attention.q_norm.data(), eps,
                    step.Rotary(layer.kind));
  if (layer.owns_kv) StoreKeysAndValues(step, i, qkv);
  return q;
}

}  // namespace

absl::Status RunAttention(StepContext& step, int i) {
  const RankParts& rank = step.rank;
  const LayerConfig& layer = rank.config.layers[i];
  const LayerWeights& weights = rank.weights.layer(i);
  Tensor q = ProjectAndStore(step, i);
  if (i == rank.config.num_owning_layers - 1) {
    q = KeepRowsWithLogits(step, i, q);
    if (step.batch.num_rows == 0) return absl::OkStatus();
  }
  const int64_t rows = step.batch.num_rows;
  const Tensor heads = rank.scratch.attention.View(rows, q.cols);
  const int window = layer.kind == AttentionKind::kSliding ? rank.config.sliding_window : 0;
  ops::PagedAttention(rank.backend, q, rank.kv.layer(i), step.batch.Sequences(layer.kind), window,
                      heads);
  const Tensor partial = rank.scratch.partial.View(rows, rank.config.hidden_size);
  ops::MatMul(rank.backend, heads, weights.attention.output, partial);
  FACET_RETURN_IF_ERROR(rank.exchange.Sum(partial, "attention", i));
  ops::AddRmsNorm(rank.backend, partial, weights.post_attention_norm.data(),
                  static_cast<float>(rank.config.rms_norm_eps), /*scale=*/1, step.residual);
  return absl::OkStatus();
}

}  // namespace facet
