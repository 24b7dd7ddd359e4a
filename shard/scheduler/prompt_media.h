#ifndef FACET_SHARD_SCHEDULER_PROMPT_MEDIA_H_
#define FACET_SHARD_SCHEDULER_PROMPT_MEDIA_H_

// The soft tokens of a prompt, and where its chunks must not end. Never changed once made: the n
// completions of a prompt share it, and keep it until they end, since a preempted one is computed
// again.

#include <vector>

#include "absl/status/status.h"
#include "shard/cache/block_hash.h"
#include "shard/soft_tokens.h"

namespace facet {

struct PromptMedia {
  // Ordered by position and not overlapping.
  std::vector<SoftTokens> soft_tokens;
  // Blocks that one step computes whole: soft tokens that see each other both ways. The same order.
  std::vector<MediaSpan> unsplit;

  int LongestUnsplit() const;

  // The block that a part ending at `position` would cut; null if none.
  const MediaSpan* UnsplitAcross(int position) const;

  // InvalidArgument unless both are in order, lie within a prompt of `prompt_tokens` tokens, and no
  // block is longer than `max_unsplit`.
  absl::Status Validate(int prompt_tokens, int max_unsplit) const;
};

// The blocks that soft tokens form in a model with blocks (FormsBlocks). `content_hash` stays
// empty.
std::vector<MediaSpan> BlocksOf(const std::vector<SoftTokens>& soft_tokens);

}  // namespace facet

#endif  // FACET_SHARD_SCHEDULER_PROMPT_MEDIA_H_
