#include "shard/planner/memory_plan.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "kernels/weight_matrix.h"
#include "shard/kv_tensors/kv_cache_tensors.h"
#include "shard/slicing/slice_plan.h"
#include "shard/transformer/scratch.h"
#include "shard/transformer/weights.h"

namespace facet {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);

// Adds up what shard/transformer/weights.h keeps, matrix by matrix.
class WeightCounter {
 public:
  WeightCounter(const ModelConfig& config, const SlicePlan& slice, ComputeMode mode, DType stored,
                MemoryPlan& plan)
      : config_(config), slice_(slice), mode_(mode), stored_(stored), plan_(plan) {}

  void CountModel() {
    const int64_t hidden = config_.hidden_size;
    const int64_t width = config_.per_layer_input_size;
    const auto element = static_cast<int64_t>(SizeOf(stored_));
    plan_.mapped_token_table = config_.vocab_size * hidden * element;
    plan_.head += Matrix(slice_.vocabulary.count, hidden);
    plan_.norms += hidden * kFloatBytes;
    for (int i = 0; i < config_.num_layers; ++i) CountLayer(i);
    if (width == 0) return;
    plan_.mapped_per_layer_table =
        config_.per_layer_vocab_size * config_.num_layers * width * element;
    plan_.per_layer_projections += Matrix(config_.num_layers * width, hidden);
    plan_.norms += width * kFloatBytes;
  }

 private:
  int64_t Matrix(int64_t out, int64_t in, bool exact = false) const {
    return WeightMatrix::PackedBytes(out, in, FormatOf(mode_, stored_, exact));
  }

  void CountLayer(int i) {
    const LayerConfig& layer = config_.layers[i];
    const LayerSlice& part = slice_.layers[i];
    const int64_t hidden = config_.hidden_size;
    const int64_t q = part.query_heads.count * layer.head_dim;
    const int64_t kv = layer.owns_kv ? part.kv_heads.count * layer.head_dim : 0;
    plan_.attention += Matrix(q + kv * (layer.k_eq_v ? 1 : 2), hidden) + Matrix(hidden, q);
    plan_.mlp +=
        Matrix(2 * part.mlp_columns.count, hidden) + Matrix(hidden, part.mlp_columns.count);
    plan_.norms += (4 * hidden + layer.head_dim * (layer.owns_kv ? 2 : 1)) * kFloatBytes;
    if (config_.moe.has_value()) CountExperts();
    if (const int64_t width = config_.per_layer_input_size; width > 0) {
      plan_.per_layer_projections += Matrix(width, hidden) + Matrix(hidden, width);
      plan_.norms += hidden * kFloatBytes;
    }
  }

  void CountExperts() {
    const int64_t hidden = config_.hidden_size;
    const int64_t columns = slice_.expert_columns.count;
    plan_.experts += Matrix(config_.moe->num_experts, hidden, /*exact=*/true);
    plan_.experts += slice_.experts.count * (Matrix(2 * columns, hidden) + Matrix(hidden, columns));
    plan_.norms += 4 * hidden * kFloatBytes;  // the router's scale among them
  }

  const ModelConfig& config_;
  const SlicePlan& slice_;
  const ComputeMode mode_;
  const DType stored_;
  MemoryPlan& plan_;
};

}  // namespace

absl::StatusOr<MemoryPlan> PlanMemory(const ModelConfig& config, const RankOptions& options,
                                      DType stored) {
  FACET_ASSIGN_OR_RETURN(
      const SlicePlan slice,
      MakeSlicePlan(config, {options.world_size, options.rank, options.expert_parallel}));
  MemoryPlan plan;
  plan.rank = options.rank;
  plan.world_size = options.world_size;
  WeightCounter(config, slice, options.mode, stored, plan).CountModel();
  plan.global_kv_page =
      KvBytesPerPage(config, slice, AttentionKind::kGlobal, options.page_tokens, options.kv_dtype);
  plan.sliding_kv_page =
      KvBytesPerPage(config, slice, AttentionKind::kSliding, options.page_tokens, options.kv_dtype);
  plan.global_kv = options.global_pages * plan.global_kv_page;
  plan.sliding_kv = options.sliding_pages * plan.sliding_kv_page;
  plan.activations =
      Scratch::Bytes(config, slice, {options.max_step_tokens, options.max_logit_rows});
  return plan;
}

std::string FormatBytes(int64_t bytes) {
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes) / 1024;
  int unit = 0;
  for (; value >= 1024 && unit < 3; ++unit) value /= 1024;
  return absl::StrFormat(value < 10 ? "%.2f %s" : "%.1f %s", value, kUnits[unit]);
}

std::string FormatMemoryPlan(const MemoryPlan& plan) {
  std::string out = absl::StrCat("memory of rank ", plan.rank, " of ", plan.world_size, "\n");
  const auto line = [&out](const char* part, int64_t bytes) {
    if (bytes > 0) absl::StrAppendFormat(&out, "  %-28s %12s\n", part, FormatBytes(bytes));
  };
  line("head", plan.head);
  line("attention", plan.attention);
  line("MLP", plan.mlp);
  line("experts", plan.experts);
  line("per-layer projections", plan.per_layer_projections);
  line("norms", plan.norms);
  line("weights together", plan.Weights());
  line("KV pages, global", plan.global_kv);
  line("KV pages, sliding", plan.sliding_kv);
  line("activations", plan.activations);
  line("together", plan.Total());
  line("mapped: token table", plan.mapped_token_table);
  line("mapped: per-layer table", plan.mapped_per_layer_table);
  out.pop_back();
  return out;
}

absl::Status CheckFits(const MemoryPlan& plan, int64_t limit_bytes) {
  if (plan.Total() <= limit_bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("rank ", plan.rank, " of ", plan.world_size, " needs ",
                   FormatBytes(plan.Total()), " of memory (weights ", FormatBytes(plan.Weights()),
                   ", KV pages ", FormatBytes(plan.Kv()), ", activations ",
                   FormatBytes(plan.activations), "), the limit is ", FormatBytes(limit_bytes)));
}

}  // namespace facet
