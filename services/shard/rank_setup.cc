#include "services/shard/rank_setup.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "model/tensor_names.h"
#include "shard/planner/kv_pool_sizes.h"
#include "shard/slicing/slice_plan.h"

namespace facet {
namespace {

// What a sequence usually comes to, for sharing the KV memory between the two pools.
constexpr int kTypicalTokens = 2048;
constexpr int kLeastContext = 16;

absl::StatusOr<DType> ParseDType(const char* flag, const std::string& value) {
  if (value == "f32") return DType::kF32;
  if (value == "bf16") return DType::kBF16;
  return absl::InvalidArgumentError(absl::StrCat(flag, " is '", value, "'; f32 or bf16"));
}

absl::Status CheckRange(const char* flag, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(flag, " is ", value, "; allowed: ", least, " to ", most));
}

absl::Status CheckSettings(const RankSettings& s) {
  if (s.model_dir.empty()) {
    return absl::InvalidArgumentError("--model is missing: the folder of a checkpoint");
  }
  FACET_RETURN_IF_ERROR(CheckRange("--world_size", s.world_size, 1, 1024));
  FACET_RETURN_IF_ERROR(CheckRange("--rank", s.rank, 0, s.world_size - 1));
  FACET_RETURN_IF_ERROR(CheckRange("--page_tokens", s.page_tokens, 1, 1024));
  FACET_RETURN_IF_ERROR(CheckRange("--kv_cache_bytes", s.kv_cache_bytes, 1, int64_t{1} << 44));
  FACET_RETURN_IF_ERROR(CheckRange("--max_step_tokens", s.max_step_tokens, 1, 1 << 16));
  FACET_RETURN_IF_ERROR(CheckRange("--max_running", s.max_running, 1, s.max_step_tokens));
  return CheckRange("--memory_limit", s.memory_limit, 0, int64_t{1} << 50);
}

// The pools that the KV memory pays for, and no more than max_running sequences can use.
absl::StatusOr<PageDemand> PoolsFor(const RankSettings& s, const ModelConfig& config,
                                    const SlicePlan& slice, DType kv_dtype, int context) {
  const int chunk = std::min(s.max_step_tokens, context);
  FACET_ASSIGN_OR_RETURN(
      const PageDemand paid,
      PoolsForBytes(config, slice, s.page_tokens, kv_dtype,
                    {s.kv_cache_bytes, context, std::min(kTypicalTokens, context), chunk}));
  FACET_ASSIGN_OR_RETURN(const PageDemand useful,
                         PoolsForSequences(config, s.page_tokens, s.max_running, context, chunk));
  return PageDemand{std::min(paid.global, useful.global), std::min(paid.sliding, useful.sliding)};
}

absl::Status SizePools(const RankSettings& s, const ModelConfig& config, const SlicePlan& slice,
                       RankSetup& setup) {
  const bool chosen = s.max_context != 0;
  if (chosen) {
    FACET_RETURN_IF_ERROR(
        CheckRange("--max_context", s.max_context, 2, config.max_position_embeddings));
  }
  int context = chosen ? s.max_context : config.max_position_embeddings;
  absl::StatusOr<PageDemand> pools = PoolsFor(s, config, slice, setup.options.kv_dtype, context);
  // A context that nobody asked for is cut to what the KV memory holds.
  while (!chosen && absl::IsResourceExhausted(pools.status()) && context / 2 >= kLeastContext) {
    context /= 2;
    pools = PoolsFor(s, config, slice, setup.options.kv_dtype, context);
  }
  if (!pools.ok()) {
    return absl::Status(pools.status().code(), absl::StrCat("--kv_cache_bytes or --max_context: ",
                                                            pools.status().message()));
  }
  if (context < config.max_position_embeddings && !chosen) {
    FACET_LOG(Warning) << "the context is cut from " << config.max_position_embeddings << " to "
                       << context << " tokens: --kv_cache_bytes=" << s.kv_cache_bytes
                       << " holds no longer sequence";
  }
  setup.max_context = context;
  setup.options.global_pages = pools->global;
  setup.options.sliding_pages = pools->sliding;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RankSetup> PrepareRank(const RankSettings& s) {
  FACET_RETURN_IF_ERROR(CheckSettings(s));
  RankSetup setup;
  FACET_ASSIGN_OR_RETURN(setup.config, LoadModelConfig(s.model_dir));
  FACET_ASSIGN_OR_RETURN(setup.checkpoint, OpenCheckpoint(s.model_dir));
  FACET_ASSIGN_OR_RETURN(const TextTensors tensors,
                         TextTensors::Detect(*setup.checkpoint, setup.config));
  RankOptions& options = setup.options;
  options.rank = s.rank;
  options.world_size = s.world_size;
  options.expert_parallel = s.expert_parallel;
  FACET_ASSIGN_OR_RETURN(const DType dtype, ParseDType("--dtype", s.dtype));
  options.mode = dtype == DType::kBF16 ? ComputeMode::kBF16 : ComputeMode::kF32;
  options.kv_dtype = DefaultKvDType(options.mode);
  if (s.kv_dtype != "auto") {
    FACET_ASSIGN_OR_RETURN(options.kv_dtype, ParseDType("--kv_dtype", s.kv_dtype));
  }
  options.page_tokens = s.page_tokens;
  options.max_step_tokens = s.max_step_tokens;
  options.max_logit_rows = s.max_running;
  FACET_ASSIGN_OR_RETURN(const SlicePlan slice,
                         MakeSlicePlan(setup.config, {.world_size = s.world_size,
                                                      .rank = s.rank,
                                                      .expert_parallel = s.expert_parallel}));
  FACET_RETURN_IF_ERROR(SizePools(s, setup.config, slice, setup));
  FACET_ASSIGN_OR_RETURN(setup.memory, PlanMemory(setup.config, options,
                                                  tensors.Model(ModelTensor::kEmbedTokens).dtype));
  return setup;
}

std::string SharedSettings(const RankSetup& setup, int max_running) {
  const RankOptions& o = setup.options;
  return absl::StrCat("expert_parallel=", o.expert_parallel ? "true" : "false",
                      " dtype=", o.mode == ComputeMode::kBF16 ? "bf16" : "f32",
                      " kv_dtype=", Name(o.kv_dtype), " page_tokens=", o.page_tokens,
                      " global_pages=", o.global_pages, " sliding_pages=", o.sliding_pages,
                      " max_step_tokens=", o.max_step_tokens, " max_running=", max_running,
                      " max_context=", setup.max_context);
}

}  // namespace facet
