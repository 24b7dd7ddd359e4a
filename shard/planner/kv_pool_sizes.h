#ifndef FACET_SHARD_PLANNER_KV_POOL_SIZES_H_
#define FACET_SHARD_PLANNER_KV_POOL_SIZES_H_

// How many pages the two KV pools get.

#include <cstdint>

#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "model/config.h"
#include "shard/cache/page_demand.h"
#include "shard/slicing/slice_plan.h"

namespace facet {

// The page layout of a model, as the scheduler and the cache need it.
KvLayout MakeKvLayout(const ModelConfig& config, int page_tokens);

// Pages for `sequences` sequences of `tokens` tokens at once, computed `chunk_tokens` or fewer at a
// time. InvalidArgument unless all are at least 1.
absl::StatusOr<PageDemand> PoolsForSequences(const ModelConfig& config, int page_tokens,
                                             int sequences, int tokens, int chunk_tokens);

struct KvBudget {
  int64_t bytes = 0;       // of one rank
  int context_tokens = 0;  // the longest sequence; one of them must fit
  // What a sequence usually comes to: decides how the bytes are shared between the pools, since
  // short sequences need many sliding pages and long ones many global pages. At most
  // context_tokens.
  int typical_tokens = 0;
  int chunk_tokens = 0;  // the largest step of one sequence
};

// The pools that `budget.bytes` pay for: sliding pages for as many typical sequences as fit, the
// rest in global pages, and always enough of both for one sequence of context_tokens.
// InvalidArgument on numbers out of range; ResourceExhausted, with the bytes that one such sequence
// needs, if the budget is less.
absl::StatusOr<PageDemand> PoolsForBytes(const ModelConfig& config, const SlicePlan& slice,
                                         int page_tokens, DType kv_dtype, const KvBudget& budget);

}  // namespace facet

#endif  // FACET_SHARD_PLANNER_KV_POOL_SIZES_H_
