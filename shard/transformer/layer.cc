#include "shard/transformer/layer.h"

#include "base/status_macros.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rms_norm.h"
#include "shard/transformer/attention.h"
#include "shard/transformer/mlp.h"
#include "shard/transformer/moe.h"

namespace facet {
namespace {

// The feed-forward half; the residual stream is multiplied by `scale` at its end.
absl::Status RunFeedForward(StepContext& step, int i, float scale) {
  const RankParts& rank = step.rank;
  const LayerWeights& weights = rank.weights.layer(i);
  const auto eps = static_cast<float>(rank.config.rms_norm_eps);
  const int64_t rows = step.batch.num_rows;
  const int64_t hidden = rank.config.hidden_size;
  const bool has_experts = weights.moe.has_value();

  const Tensor normed = rank.scratch.normed.View(rows, hidden);
  // Dense half and experts side by side, so that one sum over the ranks does for both.
  const Tensor partial = rank.scratch.partial.View(rows, has_experts ? 2 * hidden : hidden);
  const Tensor dense = partial.Columns(0, hidden);
  ops::RmsNorm(rank.backend, step.residual, weights.pre_feedforward_norm.data(), eps, normed);
  RunMlp(step, weights.mlp, normed, dense);
  if (has_experts) RunExperts(step, *weights.moe, partial.Columns(hidden, hidden));
  FACET_RETURN_IF_ERROR(rank.exchange.Sum(partial, "feed-forward", i));
  if (has_experts) {
    ops::RmsNorm(rank.backend, dense, weights.moe->dense_post_norm.data(), eps, dense);
    ops::AddRmsNorm(rank.backend, partial.Columns(hidden, hidden), weights.moe->post_norm.data(),
                    eps, /*scale=*/1, dense);
  }
  ops::AddRmsNorm(rank.backend, dense, weights.post_feedforward_norm.data(), eps, scale,
                  step.residual);
  return absl::OkStatus();
}

void AddPerLayerInput(StepContext& step, int i, float scale) {
  const RankParts& rank = step.rank;
  const PerLayerInputWeights& weights = *rank.weights.layer(i).per_layer_input;
  const int64_t rows = step.batch.num_rows;
  const int64_t width = rank.config.per_layer_input_size;
  const Tensor gate = rank.scratch.per_layer_gate.View(rows, width);
  ops::MatMul(rank.backend, step.residual, weights.gate, gate);
  ops::GeluMul(rank.backend, gate,
               step.per_layer.Columns((i - step.first_per_layer) * width, width), gate);
  const Tensor projected = rank.scratch.normed.View(rows, rank.config.hidden_size);
  ops::MatMul(rank.backend, gate, weights.projection, projected);
  ops::AddRmsNorm(rank.backend, projected, weights.post_norm.data(),
                  static_cast<float>(rank.config.rms_norm_eps), scale, step.residual);
}

}  // namespace

absl::Status RunLayer(StepContext& step, int i) {
  const LayerWeights& weights = step.rank.weights.layer(i);
  step.rank.timer.Enter(&StepTimings::attention);
  FACET_RETURN_IF_ERROR(RunAttention(step, i));
  if (step.batch.num_rows == 0) return absl::OkStatus();
  step.rank.timer.Enter(&StepTimings::mlp);
  const bool has_input = weights.per_layer_input.has_value();
  FACET_RETURN_IF_ERROR(RunFeedForward(step, i, has_input ? 1 : weights.layer_scalar));
  if (has_input) AddPerLayerInput(step, i, weights.layer_scalar);
  return absl::OkStatus();
}

}  // namespace facet
