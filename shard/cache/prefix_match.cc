#include "shard/cache/prefix_match.h"

#include <algorithm>

namespace facet {
namespace {

bool Has(const KvBlockPool& pool, const BlockHash& hash) {
  return pool.Find(hash) != KvBlockPool::kNone;
}

// The most blocks that end inside no unsplit span: `blocks` or fewer.
int OutsideSpans(const KvLayout& layout, absl::Span<const MediaSpan> spans, int blocks) {
  for (auto span = spans.rbegin(); span != spans.rend(); ++span) {
    const int64_t end = int64_t{blocks} * layout.page_tokens;
    if (span->start < end && end < int64_t{span->start} + span->tokens) {
      blocks = span->start / layout.page_tokens;
    }
  }
  return blocks;
}

}  // namespace

int FirstSlidingBlock(const KvLayout& layout, int position) {
  return std::max(0, position - (layout.sliding_window - 1)) / layout.page_tokens;
}

int LongestPrefix(const KvLayout& layout, const KvPools& pools, const CachedPrompt& prompt) {
  const int most =
      std::min(static_cast<int>(prompt.hashes.size()), prompt.max_tokens / layout.page_tokens);
  int blocks = most;
  if (pools.global != nullptr) {
    blocks = 0;
    while (blocks < most && Has(*pools.global, prompt.hashes[blocks])) ++blocks;
  }
  blocks = OutsideSpans(layout, prompt.unsplit, blocks);
  if (pools.sliding == nullptr) return blocks;
  // Downward, each block looked up once: whatever ends behind a missing block but within its
  // reach needs it, so the next candidate ends before it.
  int known_from = blocks;  // the sliding pages of [known_from, blocks) are there
  while (known_from > FirstSlidingBlock(layout, blocks * layout.page_tokens)) {
    --known_from;
    if (Has(*pools.sliding, prompt.hashes[known_from])) continue;
    blocks = OutsideSpans(layout, prompt.unsplit, known_from);
    known_from = std::min(known_from, blocks);
  }
  return blocks;
}

}  // namespace facet
