#include "shard/transformer/moe.h"

#include "kernels/ops/matmul.h"
#include "kernels/ops/moe.h"
#include "kernels/ops/rms_norm.h"

namespace facet {

void RunExperts(StepContext& step, const MoeWeights& weights, const Tensor& out) {
  const RankParts& rank = step.rank;
  const MoeConfig& moe = *rank.config.moe;
  const auto eps = static_cast<float>(rank.config.rms_norm_eps);
  const int64_t rows = step.residual.rows;
  const Tensor router_input = rank.scratch.router_input.View(rows, rank.config.hidden_size);
  const Tensor router_logits = rank.scratch.router_logits.View(rows, moe.num_experts);
  ops::RmsNorm(rank.backend, step.residual, weights.router_scale.data(), eps, router_input);
  ops::MatMul(rank.backend, router_input, weights.router, router_logits);
  ops::RouteTopK(rank.backend, router_logits, moe.top_k, weights.per_expert_scale.data(),
                 step.routing);

  const Tensor normed = rank.scratch.normed.View(rows, rank.config.hidden_size);
  ops::RmsNorm(rank.backend, step.residual, weights.pre_norm.data(), eps, normed);
  ops::MoeExperts(rank.backend, normed, step.routing, static_cast<int>(rank.slice.experts.begin),
                  weights.gate_up, weights.down, out);
}

}  // namespace facet
