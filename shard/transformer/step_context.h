#ifndef FACET_SHARD_TRANSFORMER_STEP_CONTEXT_H_
#define FACET_SHARD_TRANSFORMER_STEP_CONTEXT_H_

// One step in flight: what every part of the transformer works on.

#include "kernels/backend.h"
#include "kernels/ops/moe.h"
#include "kernels/tensor.h"
#include "model/config.h"
#include "shard/kv_tensors/kv_cache_tensors.h"
#include "shard/slicing/slice_plan.h"
#include "shard/step_plan.h"
#include "shard/transformer/phase_timer.h"
#include "shard/transformer/rank_exchange.h"
#include "shard/transformer/scratch.h"
#include "shard/transformer/step_batch.h"
#include "shard/transformer/weights.h"

namespace facet {

// RoPE frequencies of both kinds of layers, [head_dim / 2]; empty where there is no such layer.
struct RotaryFrequencies {
  std::vector<float> global;
  std::vector<float> sliding;
};

// What stays the same from step to step. Borrowed.
struct RankParts {
  Backend& backend;
  const ModelConfig& config;
  const SlicePlan& slice;
  const TransformerWeights& weights;
  const KvCacheTensors& kv;
  const RotaryFrequencies& frequencies;
  Scratch& scratch;
  RankExchange& exchange;
  PhaseTimer& timer;
};

struct StepContext {
  const RankParts& rank;
  const StepPlan& plan;

  // The rows at hand: all of the step at first, from the last layer that owns K/V on only those
  // whose logits are wanted.
  StepBatch& batch;
  Tensor residual;  // [rows, H]: the stream that the layers add to
  Tensor rotary_global;
  Tensor rotary_sliding;
  // Per-layer inputs of the layers from first_per_layer on: [rows, layers * P]. No data without.
  Tensor per_layer;
  int first_per_layer = 0;
  // The experts of each row, layer by layer; here for its memory.
  ops::MoeRouting& routing;

  const Tensor& Rotary(AttentionKind kind) const {
    return kind == AttentionKind::kGlobal ? rotary_global : rotary_sliding;
  }
};

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_STEP_CONTEXT_H_
