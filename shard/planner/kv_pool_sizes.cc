#include "shard/planner/kv_pool_sizes.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "shard/kv_tensors/kv_cache_tensors.h"
#include "shard/planner/memory_plan.h"

namespace facet {
namespace {

absl::Status CheckPositive(const std::vector<std::pair<const char*, int64_t>>& numbers) {
  for (const auto& [name, value] : numbers) {
    if (value < 1) {
      return absl::InvalidArgumentError(absl::StrCat(name, " is ", value, ", must be at least 1"));
    }
  }
  return absl::OkStatus();
}

// Page ids are 32 bits wide.
absl::StatusOr<int> PageCount(int64_t pages) {
  if (pages > std::numeric_limits<int32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat("a KV pool of ", pages, " pages; at most ",
                                                   std::numeric_limits<int32_t>::max(),
                                                   " are possible"));
  }
  return static_cast<int>(pages);
}

absl::StatusOr<PageDemand> Times(const PageDemand& one, int64_t sequences) {
  PageDemand all;
  FACET_ASSIGN_OR_RETURN(all.global, PageCount(one.global * sequences));
  FACET_ASSIGN_OR_RETURN(all.sliding, PageCount(one.sliding * sequences));
  return all;
}

}  // namespace

KvLayout MakeKvLayout(const ModelConfig& config, int page_tokens) {
  KvLayout layout;
  layout.page_tokens = page_tokens;
  layout.has_global = HasKvOfKind(config, AttentionKind::kGlobal);
  layout.has_sliding = HasKvOfKind(config, AttentionKind::kSliding);
  layout.sliding_window = config.sliding_window;
  return layout;
}

absl::StatusOr<PageDemand> PoolsForSequences(const ModelConfig& config, int page_tokens,
                                             int sequences, int tokens, int chunk_tokens) {
  FACET_RETURN_IF_ERROR(CheckPositive({{"page_tokens", page_tokens},
                                       {"sequences", sequences},
                                       {"tokens", tokens},
                                       {"chunk_tokens", chunk_tokens}}));
  return Times(WorstCaseDemand(MakeKvLayout(config, page_tokens), tokens, chunk_tokens), sequences);
}

absl::StatusOr<PageDemand> PoolsForBytes(const ModelConfig& config, const SlicePlan& slice,
                                         int page_tokens, DType kv_dtype, const KvBudget& budget) {
  FACET_RETURN_IF_ERROR(CheckPositive({{"page_tokens", page_tokens},
                                       {"context_tokens", budget.context_tokens},
                                       {"typical_tokens", budget.typical_tokens},
                                       {"chunk_tokens", budget.chunk_tokens}}));
  const KvLayout layout = MakeKvLayout(config, page_tokens);
  const int64_t global_page =
      KvBytesPerPage(config, slice, AttentionKind::kGlobal, page_tokens, kv_dtype);
  const int64_t sliding_page =
      KvBytesPerPage(config, slice, AttentionKind::kSliding, page_tokens, kv_dtype);
  const PageDemand longest = WorstCaseDemand(layout, budget.context_tokens, budget.chunk_tokens);
  const int64_t least = longest.Bytes(global_page, sliding_page);
  if (budget.bytes < least) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "one sequence of ", budget.context_tokens, " tokens needs ", FormatBytes(least),
        " of KV pages on this rank, there are ", FormatBytes(std::max<int64_t>(0, budget.bytes))));
  }
  const PageDemand typical = WorstCaseDemand(
      layout, std::min(budget.typical_tokens, budget.context_tokens), budget.chunk_tokens);
  const int64_t sequences = budget.bytes / typical.Bytes(global_page, sliding_page);
  // Sliding pages first, but never so many that the longest sequence lacks global ones.
  int64_t sliding = std::max<int64_t>(longest.sliding, sequences * typical.sliding);
  if (sliding_page > 0) {
    sliding = std::min(sliding, (budget.bytes - longest.global * global_page) / sliding_page);
  }
  PageDemand pools;
  FACET_ASSIGN_OR_RETURN(pools.sliding, PageCount(sliding));
  if (global_page > 0) {
    FACET_ASSIGN_OR_RETURN(pools.global,
                           PageCount((budget.bytes - sliding * sliding_page) / global_page));
  }
  return pools;
}

}  // namespace facet
