#include "shard/transformer/embedding.h"

#include <cmath>

#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rope.h"

namespace facet {

void ComputeRotary(StepContext& step) {
  const RankParts& rank = step.rank;
  const int64_t rows = step.batch.num_rows;
  const auto compute = [&](const std::vector<float>& frequencies, const Buffer& buffer) {
    if (frequencies.empty()) return Tensor();
    const Tensor out = buffer.View(rows, 2 * static_cast<int64_t>(frequencies.size()));
    ops::RopeAngles(rank.backend, step.batch.positions, frequencies, out);
    return out;
  };
  step.rotary_global = compute(rank.frequencies.global, rank.scratch.rotary_global);
  step.rotary_sliding = compute(rank.frequencies.sliding, rank.scratch.rotary_sliding);
}

void EmbedTokens(StepContext& step) {
  const RankParts& rank = step.rank;
  const EmbeddingWeights& weights = rank.weights.embedding();
  step.residual = rank.scratch.residual.View(step.batch.num_rows, rank.config.hidden_size);
  ops::EmbedRows(rank.backend, weights.tokens, /*first_id=*/0, step.batch.token_ids,
                 weights.token_scale, step.residual);
}

void EmbedPerLayer(StepContext& step) {
  const RankParts& rank = step.rank;
  const EmbeddingWeights& weights = rank.weights.embedding();
  const int64_t width = rank.config.per_layer_input_size;
  if (width == 0) return;
  const int64_t rows = step.batch.num_rows;
  const int64_t columns = rank.config.num_layers * width;
  const Tensor context = rank.scratch.per_layer.View(rows, columns);
  ops::MatMul(rank.backend, step.residual, weights.per_layer_projection, context);
  // rmsnorm(c H^-1/2) with eps is rmsnorm(c) with eps H.
  const auto eps = static_cast<float>(rank.config.rms_norm_eps * rank.config.hidden_size);
  ops::HeadNormRope(rank.backend, context, static_cast<int>(width), weights.per_layer_norm.data(),
                    eps, Tensor());
  const Tensor token = rank.scratch.per_layer_token.View(rows, columns);
  ops::EmbedRows(rank.backend, weights.per_layer, /*first_id=*/0, step.batch.token_ids,
                 weights.per_layer_scale, token);
  ops::AddScale(rank.backend, context, token, static_cast<float>(std::sqrt(0.5)), context);
  step.per_layer = context;
  step.first_per_layer = 0;
}

}  // namespace facet
