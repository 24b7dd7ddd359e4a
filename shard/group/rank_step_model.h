#ifndef FACET_SHARD_GROUP_RANK_STEP_MODEL_H_
#define FACET_SHARD_GROUP_RANK_STEP_MODEL_H_

#include "shard/group/step_model.h"
#include "shard/transformer/rank_model.h"

namespace facet {

// A RankModel as the loops of the group see it. Borrows the model.
class RankStepModel final : public StepModel {
 public:
  explicit RankStepModel(RankModel* model) : model_(model) {}
  absl::StatusOr<Tensor> Forward(const StepPlan& plan) override { return model_->Forward(plan); }
  StepTimings timings() const override { return model_->timings(); }

 private:
  RankModel* const model_;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_RANK_STEP_MODEL_H_
