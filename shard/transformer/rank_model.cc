#include "shard/transformer/rank_model.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/kv_tensors/kv_cache_tensors.h"
#include "shard/slicing/slice_plan.h"
#include "shard/transformer/transformer.h"
#include "shard/transformer/weights.h"

namespace facet {
namespace {

absl::Status CheckOptions(const RankOptions& options, const Collective* collective) {
  for (const auto& [name, value] : {std::pair("max_step_tokens", options.max_step_tokens),
                                    std::pair("max_logit_rows", options.max_logit_rows)}) {
    if (value < 1) {
      return absl::InvalidArgumentError(absl::StrCat(name, " is ", value, ", must be at least 1"));
    }
  }
  const int rank = collective == nullptr ? 0 : collective->rank();
  const int world_size = collective == nullptr ? 1 : collective->world_size();
  if (rank != options.rank || world_size != options.world_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", options.rank, " of ", options.world_size,
                     " with a collective of rank ", rank, " of ", world_size));
  }
  return absl::OkStatus();
}

}  // namespace

RankModel::RankModel(const ModelConfig& config, const RankOptions& options)
    : config_(config), options_(options) {}

RankModel::~RankModel() = default;

absl::StatusOr<std::unique_ptr<RankModel>> RankModel::Load(const ModelConfig& config,
                                                           const Checkpoint& checkpoint,
                                                           const RankOptions& options,
                                                           Backend* backend,
                                                           Collective* collective) {
  FACET_RETURN_IF_ERROR(CheckOptions(options, collective));
  std::unique_ptr<RankModel> model(new RankModel(config, options));
  FACET_ASSIGN_OR_RETURN(SlicePlan slice, MakeSlicePlan(config, {options.world_size, options.rank,
                                                                 options.expert_parallel}));
  model->slice_ = std::make_unique<const SlicePlan>(std::move(slice));
  FACET_ASSIGN_OR_RETURN(
      TransformerWeights weights,
      TransformerWeights::Load(config, checkpoint, *model->slice_, options.mode, *backend));
  model->weights_ = std::make_unique<TransformerWeights>(std::move(weights));
  FACET_ASSIGN_OR_RETURN(KvCacheTensors kv,
                         KvCacheTensors::Create(config, *model->slice_,
                                                {options.page_tokens, options.kv_dtype,
                                                 options.global_pages, options.sliding_pages},
                                                *backend));
  model->kv_ = std::make_unique<KvCacheTensors>(std::move(kv));
  FACET_ASSIGN_OR_RETURN(model->transformer_,
                         Transformer::Create(model->config_, *model->slice_, options,
                                             *model->weights_, *model->kv_, *backend, collective));
  return model;
}

absl::StatusOr<Tensor> RankModel::Forward(const StepPlan& plan) {
  return transformer_->Forward(plan);
}

const StepTimings& RankModel::timings() const { return transformer_->timings(); }
int64_t RankModel::weight_bytes() const { return weights_->bytes(); }
int64_t RankModel::kv_bytes() const { return kv_->bytes(); }

}  // namespace facet
