#ifndef FACET_SHARD_CACHE_PREFIX_MATCH_H_
#define FACET_SHARD_CACHE_PREFIX_MATCH_H_

// How much of a prompt can be taken from the prefix cache.

#include "absl/types/span.h"
#include "shard/cache/block_hash.h"
#include "shard/cache/kv_block_pool.h"
#include "shard/cache/page_demand.h"

namespace facet {

// A prompt as the prefix cache sees it. Refers to the caller's data.
struct CachedPrompt {
  absl::Span<const BlockHash> hashes;  // of the full blocks, BlockHashChain
  int max_tokens = 0;  // the most to take: one less than the prompt, so that a token is computed
  // Spans in which a step must not start, ordered by position: soft tokens that see each other in
  // both directions are computed in one step.
  absl::Span<const MediaSpan> unsplit = {};
};

// The first block that a step from `position` on reads of the sliding pool.
int FirstSlidingBlock(const KvLayout& layout, int position);

// The most blocks h whose KV a new sequence can take, to start at h * page_tokens: all global pages
// of blocks [0, h) are findable, and of the sliding pages those that a step starting there reads,
// that is of the last sliding_window - 1 positions. Linear in the hashes.
int LongestPrefix(const KvLayout& layout, const KvPools& pools, const CachedPrompt& prompt);

}  // namespace facet

#endif  // FACET_SHARD_CACHE_PREFIX_MATCH_H_
