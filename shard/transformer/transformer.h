#ifndef FACET_SHARD_TRANSFORMER_TRANSFORMER_H_
#define FACET_SHARD_TRANSFORMER_TRANSFORMER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "kernels/tensor.h"
#include "model/config.h"
#include "shard/collective/collective.h"
#include "shard/kv_tensors/kv_cache_tensors.h"
#include "shard/slicing/slice_plan.h"
#include "shard/step_plan.h"
#include "shard/transformer/plan_check.h"
#include "shard/transformer/rank_options.h"
#include "shard/transformer/step_context.h"
#include "shard/transformer/step_timings.h"
#include "shard/transformer/weights.h"

namespace facet {

// The decoder of Gemma 4 on one rank, for every variant of the family: embedding, layers, head.
// Written against kernels/ops alone, so it runs on every backend. Thread-compatible.
class Transformer {
 public:
  // Everything is borrowed and must outlive the transformer; `collective` may be null where
  // slice.world_size is 1. The pages of `kv` are those that options names.
  // ResourceExhausted without memory for the activations of the largest step.
  static absl::StatusOr<std::unique_ptr<Transformer>> Create(
      const ModelConfig& config, const SlicePlan& slice, const RankOptions& options,
      const TransformerWeights& weights, const KvCacheTensors& kv, Backend& backend,
      Collective* collective);

  Transformer(const Transformer&) = delete;
  Transformer& operator=(const Transformer&) = delete;

  // See RankModel::Forward.
  absl::StatusOr<Tensor> Forward(const StepPlan& plan);

  const StepTimings& timings() const { return timer_.timings(); }

 private:
  Transformer(const ModelConfig& config, const SlicePlan& slice, const RankOptions& options,
              const TransformerWeights& weights, const KvCacheTensors& kv, Backend& backend,
              Collective* collective, Scratch scratch);

  absl::StatusOr<Tensor> RunStep(StepContext& step);

  const ModelConfig& config_;
  const RotaryFrequencies frequencies_;
  PlanChecker checker_;
  Scratch scratch_;
  PhaseTimer timer_;
  RankExchange exchange_;
  const RankParts rank_;
  // Of the step at hand; members for their memory.
  StepBatch batch_;
  ops::MoeRouting routing_;
};

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_TRANSFORMER_H_
