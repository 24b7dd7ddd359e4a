#include "shard/slicing/slice_plan.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {
namespace {

absl::Status CheckDivides(int world_size, int64_t size, const std::string& what) {
  if (size % world_size == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("cannot cut ", what, " (", size, ") evenly over ", world_size, " ranks"));
}

// The KV heads that the query heads of `rank` read; one, shared by neighbours, where there are
// fewer heads than ranks.
absl::StatusOr<IndexRange> SliceKvHeads(int64_t kv_heads, int world_size, int rank, int layer) {
  if (kv_heads % world_size == 0) return EvenSplit(kv_heads, world_size, rank);
  if (world_size % kv_heads == 0) return IndexRange{rank * kv_heads / world_size, 1};
  return absl::InvalidArgumentError(absl::StrCat("cannot give the ", kv_heads,
                                                 " KV heads of layer ", layer, " to ", world_size,
                                                 " ranks: one number must divide the other"));
}

absl::StatusOr<LayerSlice> SliceLayer(const ModelConfig& config, const SliceOptions& options,
                                      int i) {
  const LayerConfig& layer = config.layers[i];
  LayerSlice slice;
  slice.query_heads = EvenSplit(config.num_query_heads, options.world_size, options.rank);
  FACET_ASSIGN_OR_RETURN(slice.kv_heads,
                         SliceKvHeads(layer.num_kv_heads, options.world_size, options.rank, i));
  FACET_RETURN_IF_ERROR(CheckDivides(options.world_size, layer.intermediate_size,
                                     absl::StrCat("the MLP width of layer ", i)));
  slice.mlp_columns = EvenSplit(layer.intermediate_size, options.world_size, options.rank);
  return slice;
}

absl::Status SliceExperts(const MoeConfig& moe, const SliceOptions& options, SlicePlan& plan) {
  plan.experts = {0, moe.num_experts};
  plan.expert_columns = {0, moe.intermediate_size};
  if (options.expert_parallel) {
    FACET_RETURN_IF_ERROR(CheckDivides(options.world_size, moe.num_experts, "the experts"));
    plan.experts = EvenSplit(moe.num_experts, options.world_size, options.rank);
  } else {
    FACET_RETURN_IF_ERROR(
        CheckDivides(options.world_size, moe.intermediate_size, "the width of an expert"));
    plan.expert_columns = EvenSplit(moe.intermediate_size, options.world_size, options.rank);
  }
  return absl::OkStatus();
}

}  // namespace

IndexRange EvenSplit(int64_t size, int parts, int rank) {
  const int64_t base = size / parts;
  const int64_t larger = size % parts;
  return {rank * base + std::min<int64_t>(rank, larger), base + (rank < larger ? 1 : 0)};
}

absl::StatusOr<SlicePlan> MakeSlicePlan(const ModelConfig& config, const SliceOptions& options) {
  if (options.world_size < 1 || options.rank < 0 || options.rank >= options.world_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", options.rank, " of ", options.world_size, " ranks does not exist"));
  }
  FACET_RETURN_IF_ERROR(
      CheckDivides(options.world_size, config.num_query_heads, "the query heads"));
  if (config.vocab_size < options.world_size) {
    return absl::InvalidArgumentError(absl::StrCat("cannot cut a vocabulary of ", config.vocab_size,
                                                   " over ", options.world_size, " ranks"));
  }
  SlicePlan plan;
  plan.world_size = options.world_size;
  plan.rank = options.rank;
  plan.vocabulary = EvenSplit(config.vocab_size, options.world_size, options.rank);
  for (int i = 0; i < config.num_layers; ++i) {
    FACET_ASSIGN_OR_RETURN(LayerSlice slice, SliceLayer(config, options, i));
    plan.layers.push_back(slice);
  }
  if (config.moe.has_value()) {
    FACET_RETURN_IF_ERROR(SliceExperts(*config.moe, options, plan));
  }
  return plan;
}

}  // namespace facet
