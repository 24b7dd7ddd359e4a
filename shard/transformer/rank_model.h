#ifndef FACET_SHARD_TRANSFORMER_RANK_MODEL_H_
#define FACET_SHARD_TRANSFORMER_RANK_MODEL_H_

// One rank of a shard group as a whole: its slice of the weights, its KV pages and the transformer
// over both. What the group's step loop holds.

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "kernels/backend.h"
#include "kernels/tensor.h"
#include "model/checkpoint.h"
#include "model/config.h"
#include "shard/collective/collective.h"
#include "shard/step_plan.h"
#include "shard/transformer/rank_options.h"
#include "shard/transformer/step_timings.h"

namespace facet {

class KvCacheTensors;
class Transformer;
class TransformerWeights;
struct SlicePlan;

// Thread-compatible: the rank's step loop owns it.
class RankModel {
 public:
  // Loads this rank's slice. `checkpoint`, `backend` and `collective` are borrowed and must outlive
  // the model (embedding tables are read from the mapped checkpoint on every step). `collective`
  // may be null when world_size is 1.
  //   InvalidArgument     options that do not fit the model: names the numbers
  //                       or a checkpoint that lacks a tensor of the model: names it
  //   ResourceExhausted   too little memory
  static absl::StatusOr<std::unique_ptr<RankModel>> Load(const ModelConfig& config,
                                                         const Checkpoint& checkpoint,
                                                         const RankOptions& options,
                                                         Backend* backend, Collective* collective);
  ~RankModel();
  RankModel(const RankModel&) = delete;
  RankModel& operator=(const RankModel&) = delete;

  // Executes one step of kind kRun. All ranks of the group call it with the same plan.
  // On rank 0: the logits [rows that want them, vocab_size] f32, after the soft cap, in the order
  // of plan.sequences and their rows; valid until the next call. On other ranks, and where no row
  // wants logits: no rows.
  //   Internal   a plan that does not fit (a page out of range, too many tokens, ...); nothing was
  //              executed, and every rank says the same
  //   the collective's errors, with the place where they struck; the group is broken then
  absl::StatusOr<Tensor> Forward(const StepPlan& plan);

  // Where the time of the last Forward went.
  const StepTimings& timings() const;

  const ModelConfig& config() const { return config_; }
  const RankOptions& options() const { return options_; }
  const KvCacheTensors& kv() const { return *kv_; }

  // Memory that the parts took.
  int64_t weight_bytes() const;
  int64_t kv_bytes() const;

 private:
  RankModel(const ModelConfig& config, const RankOptions& options);

  const ModelConfig config_;
  const RankOptions options_;
  std::unique_ptr<const SlicePlan> slice_;
  std::unique_ptr<TransformerWeights> weights_;
  std::unique_ptr<KvCacheTensors> kv_;
  std::unique_ptr<Transformer> transformer_;
};

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_RANK_MODEL_H_
