#ifndef FACET_SHARD_PLANNER_MEMORY_PLAN_H_
#define FACET_SHARD_PLANNER_MEMORY_PLAN_H_

// What a rank will take of memory, by part, from the shapes alone: printed before loading, so that
// what cannot fit is refused at once and with numbers.

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "model/config.h"
#include "shard/transformer/rank_options.h"

namespace facet {

// Bytes on one rank.
struct MemoryPlan {
  int rank = 0;
  int world_size = 1;

  // Weights, packed in memory.
  int64_t head = 0;
  int64_t attention = 0;
  int64_t mlp = 0;                    // the dense one of every layer
  int64_t experts = 0;                // and their routers
  int64_t per_layer_projections = 0;  // how per-layer embeddings enter the layers (E2B, E4B)
  int64_t norms = 0;

  // Tables that stay in the mapped checkpoint, of which only the rows in use are read: page cache,
  // not counted in Total().
  int64_t mapped_token_table = 0;
  int64_t mapped_per_layer_table = 0;

  int64_t global_kv_page = 0;  // of one page of a pool
  int64_t sliding_kv_page = 0;
  int64_t global_kv = 0;  // of all its pages
  int64_t sliding_kv = 0;

  int64_t activations = 0;  // of the largest step

  int64_t Weights() const {
    return head + attention + mlp + experts + per_layer_projections + norms;
  }
  int64_t Kv() const { return global_kv + sliding_kv; }
  int64_t Total() const { return Weights() + Kv() + activations; }
};

// `stored` is the type of the checkpoint's weights. Pools may still be of 0 pages here.
// InvalidArgument as MakeSlicePlan.
absl::StatusOr<MemoryPlan> PlanMemory(const ModelConfig& config, const RankOptions& options,
                                      DType stored);

// A table of the parts, one a line; the last line without a line break.
std::string FormatMemoryPlan(const MemoryPlan& plan);

// ResourceExhausted, with the numbers of every part, if Total() is more than `limit_bytes`.
absl::Status CheckFits(const MemoryPlan& plan, int64_t limit_bytes);

// "1.50 GiB", "12.0 KiB", "7 B".
std::string FormatBytes(int64_t bytes);

}  // namespace facet

#endif  // FACET_SHARD_PLANNER_MEMORY_PLAN_H_
