#include "shard/transformer/embedding.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/ops/elementwise.h"
#include "kernels/ops/embedding.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rope.h"

namespace facet {
namespace {

WeightBlock TableOf(const SoftTokens& tokens, int64_t cols) {
  WeightBlock table;
  table.data = reinterpret_cast<const uint8_t*>(tokens.rows.data());
  table.dtype = tokens.dtype;
  table.rows = tokens.count;
  table.cols = table.row_stride = cols;
  return table;
}

}  // namespace

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
  std::vector<int32_t> ids;
  for (const StepBatch::SoftRows& soft : step.batch.soft) {
    ids.resize(static_cast<size_t>(soft.tokens.count));
    std::iota(ids.begin(), ids.end(), 0);
    ops::EmbedRows(rank.backend, TableOf(soft.tokens, step.residual.cols), /*first_id=*/0, ids,
                   /*scale=*/1, step.residual.Rows(soft.row, soft.tokens.count));
  }
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
  std::vector<int32_t> ids = step.batch.token_ids;
  for (const StepBatch::SoftRows& soft : step.batch.soft) {
    std::fill_n(ids.begin() + soft.row, soft.tokens.count, rank.config.pad_token_id.value_or(0));
  }
  ops::EmbedRows(rank.backend, weights.per_layer, /*first_id=*/0, ids, weights.per_layer_scale,
                 token);
  ops::AddScale(rank.backend, context, token, static_cast<float>(std::sqrt(0.5)), context);
  step.per_layer = context;
  step.first_per_layer = 0;
}

}  // namespace facet
