#ifndef FACET_SHARD_GROUP_STEP_MODEL_H_
#define FACET_SHARD_GROUP_STEP_MODEL_H_

#include "absl/status/statusor.h"
#include "kernels/tensor.h"
#include "shard/step_plan.h"
#include "shard/transformer/step_timings.h"

namespace facet {

// What the loops of a group need of a rank's model: run one step. RankModel is the real one
// (rank_step_model.h); tests script their own.
//
// Thread-compatible: the rank's step loop owns it.
class StepModel {
 public:
  virtual ~StepModel() = default;

  // Executes a plan of kind kRun. On rank 0: logits [rows, vocab] f32, as RankModel::Forward says.
  // Any error means that the group is broken.
  virtual absl::StatusOr<Tensor> Forward(const StepPlan& plan) = 0;

  // Where the time of the last Forward went.
  virtual StepTimings timings() const { return {}; }
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_STEP_MODEL_H_
