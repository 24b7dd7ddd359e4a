#ifndef FACET_SHARD_SLICING_SLICE_PLAN_H_
#define FACET_SHARD_SLICING_SLICE_PLAN_H_

// Which part of every weight one rank of a shard group keeps. Plain arithmetic over a ModelConfig.
//
// Tensor parallelism (Shoeybi et al. 2019, arXiv:1909.08053): q, k, v, gate and up are cut by rows,
// o and down by columns, so that each half of a layer ends in one sum over the ranks. A rank keeps
// consecutive query heads and the KV heads that they read; where a layer has fewer KV heads than
// there are ranks, neighbouring ranks keep the same one. Experts stay whole and are dealt out, or
// each is cut like an MLP. The head is cut by vocabulary rows.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "model/config.h"

namespace facet {

// [begin, begin + count).
struct IndexRange {
  int64_t begin = 0;
  int64_t count = 0;
  int64_t end() const { return begin + count; }
  bool operator==(const IndexRange& o) const { return begin == o.begin && count == o.count; }
};

struct SliceOptions {
  int world_size = 1;
  int rank = 0;
  bool expert_parallel = false;  // without effect on a model that has no experts
};

// Of the whole layer's heads and columns.
struct LayerSlice {
  IndexRange query_heads;
  IndexRange kv_heads;     // those of its KV source, where the layer owns none
  IndexRange mlp_columns;  // of intermediate_size: rows of gate and up, columns of down
};

struct SlicePlan {
  int world_size = 1;
  int rank = 0;
  std::vector<LayerSlice> layers;
  IndexRange experts;         // held here; empty without MoE
  IndexRange expert_columns;  // of each of them, of the expert's intermediate_size
  IndexRange vocabulary;      // rows of the output head
};

// Rows [.., ..) of `size` things for `rank` of `parts`: sizes differ by at most one, the larger
// parts first.
IndexRange EvenSplit(int64_t size, int parts, int rank);

// InvalidArgument, naming the numbers, unless rank is in [0, world_size) and world_size divides the
// query heads, every layer's MLP width, the number of experts (expert_parallel) or their width
// (otherwise), and for each layer divides the KV heads or is a multiple of them. The vocabulary may
// be of any size from world_size on.
absl::StatusOr<SlicePlan> MakeSlicePlan(const ModelConfig& config, const SliceOptions& options);

}  // namespace facet

#endif  // FACET_SHARD_SLICING_SLICE_PLAN_H_
