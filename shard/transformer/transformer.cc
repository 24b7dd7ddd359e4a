#include "shard/transformer/transformer.h"

#include <utility>

#include "base/status_macros.h"
#include "kernels/ops/rope.h"
#include "shard/transformer/embedding.h"
#include "shard/transformer/head.h"
#include "shard/transformer/layer.h"

namespace facet {
namespace {

std::vector<float> FrequenciesOf(const ModelConfig& config, AttentionKind kind,
                                 const RopeConfig& rope) {
  for (const LayerConfig& layer : config.layers) {
    if (layer.kind != kind) continue;
    return ops::RopeFrequencies(layer.head_dim, rope.theta, rope.partial_rotary_factor,
                                rope.factor);
  }
  return {};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Transformer>> Transformer::Create(
    const ModelConfig& config, const SlicePlan& slice, const RankOptions& options,
    const TransformerWeights& weights, const KvCacheTensors& kv, Backend& backend,
    Collective* collective) {
  FACET_ASSIGN_OR_RETURN(
      Scratch scratch,
      Scratch::Create(config, slice, {options.max_step_tokens, options.max_logit_rows}, backend));
  return std::unique_ptr<Transformer>(new Transformer(config, slice, options, weights, kv, backend,
                                                      collective, std::move(scratch)));
}

Transformer::Transformer(const ModelConfig& config, const SlicePlan& slice,
                         const RankOptions& options, const TransformerWeights& weights,
                         const KvCacheTensors& kv, Backend& backend, Collective* collective,
                         Scratch scratch)
    : config_(config),
      frequencies_{FrequenciesOf(config, AttentionKind::kGlobal, config.global_rope),
                   FrequenciesOf(config, AttentionKind::kSliding, config.sliding_rope)},
      checker_(config, options),
      scratch_(std::move(scratch)),
      exchange_(collective, &timer_),
      rank_{backend, config, slice, weights, kv, frequencies_, scratch_, exchange_, timer_} {}

absl::StatusOr<Tensor> Transformer::Forward(const StepPlan& plan) {
  timer_.Reset();
  FACET_RETURN_IF_ERROR(checker_.Check(plan));
  StepContext step{rank_, plan, batch_, {}, {}, {}, {}, 0, routing_};
  absl::StatusOr<Tensor> logits = RunStep(step);
  timer_.Enter(nullptr);
  return logits;
}

absl::StatusOr<Tensor> Transformer::RunStep(StepContext& step) {
  timer_.Enter(&StepTimings::attention);
  for (const PageCopy& copy : step.plan.global_copies) {
    rank_.kv.CopyPage(AttentionKind::kGlobal, copy.from, copy.to);
  }
  for (const PageCopy& copy : step.plan.sliding_copies) {
    rank_.kv.CopyPage(AttentionKind::kSliding, copy.from, copy.to);
  }
  timer_.Enter(&StepTimings::embedding);
  FlattenPlan(step.plan, StepRows::kAll, config_.bidirectional_vision, batch_);
  ComputeRotary(step);
  EmbedTokens(step);
  EmbedPerLayer(step);
  for (int i = 0; i < config_.num_layers; ++i) {
    FACET_RETURN_IF_ERROR(RunLayer(step, i));
    if (batch_.num_rows == 0) {
      return Tensor{nullptr, DType::kF32, 0, config_.vocab_size, config_.vocab_size};
    }
  }
  return RunHead(step);
}

}  // namespace facet
