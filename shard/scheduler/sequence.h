#ifndef FACET_SHARD_SCHEDULER_SEQUENCE_H_
#define FACET_SHARD_SCHEDULER_SEQUENCE_H_

// The scheduler's record of one live sequence.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "absl/time/time.h"
#include "shard/cache/block_hash.h"
#include "shard/cache/sequence_pages.h"
#include "shard/scheduler/prompt_media.h"

namespace facet {

struct Sequence {
  enum class State {
    kQueued,
    kRunning,    // in a step's reach, and may hold pages
    kWithFirst,  // one of the n of a prompt that is not computed yet: another computes it for it
  };

  Sequence(const KvLayout& layout, const KvPools& pools) : pages(layout, pools) {}

  int64_t id = 0;
  int64_t arrival = 0;    // counts sequences, so it is unique where `id` may be used again
  absl::Time serve_from;  // arrival time less what its priority is worth
  absl::Time deadline;
  std::vector<int32_t> tokens;  // prompt, then generated; empty while kWithFirst
  int prompt_tokens = 0;        // of `tokens`
  int max_tokens = 0;           // of `tokens`
  int computed = 0;             // tokens whose KV is in the pages, after the step in flight
  bool awaiting_token = false;  // the step in flight yields tokens.back(), not known yet
  bool in_flight = false;       // has a part in the step in flight
  int planned = 0;              // tokens of its part in the step that is being planned
  bool paused = false;
  State state = State::kQueued;
  SequencePages pages;
  bool shares_written_page = false;  // forked since its last step: the next may need a copy
  std::optional<BlockHashChain> block_hashes;  // of `tokens`; none: not cached
  int published_blocks = 0;                    // full blocks that Publish was last called for
  std::shared_ptr<const PromptMedia> media;    // null: none
  bool passed_over = false;                    // a step had tokens left, but too few for its block

  // The request.
  int64_t request_id = 0;
  bool started = false;   // was planned once
  int cached_tokens = 0;  // of the prompt, taken from the prefix cache when it was started last
  bool prompt_logits = false;
  int prompt_rows_given = 0;  // of prompt_logits: positions whose row a step has yielded

  // The n of a prompt until it is computed: the one that computes it knows the others, in order.
  std::vector<Sequence*> siblings;
  Sequence* first = nullptr;  // of each of those

  // Tokens known, or to be known after the step in flight, but not computed. 1: a step on the
  // newest token yields the next.
  int remaining() const { return static_cast<int>(tokens.size()) - computed; }
  bool decoding() const { return remaining() == 1; }
  int family() const { return 1 + static_cast<int>(siblings.size()); }

  // The most tokens from `start` on, `want` or fewer, that cut no block; it must cut none itself.
  int Uncut(int start, int want) const {
    const MediaSpan* const cut = media == nullptr ? nullptr : media->UnsplitAcross(start + want);
    return cut == nullptr ? want : cut->start - start;
  }
  // Tokens of the block at `start`, of which nothing or all is computed; 0: none is there.
  int BlockAt(int start) const {
    const MediaSpan* const block = media == nullptr ? nullptr : media->UnsplitAcross(start + 1);
    return block != nullptr && block->start == start ? block->tokens : 0;
  }

  // The prompt of n sequences waits only when all of them are paused.
  bool stalled() const {
    return paused && std::all_of(siblings.begin(), siblings.end(),
                                 [](const Sequence* sibling) { return sibling->paused; });
  }
  // Whether it may have a part in the next step. With a step in flight: not if that one ends it for
  // certain, or splits it into n.
  bool plannable() const {
    if (stalled()) return false;
    if (!awaiting_token) return true;
    return siblings.empty() && static_cast<int>(tokens.size()) < max_tokens;
  }
};

// The order in which sequences are served (scheduler.h). Total and fixed for life.
struct ServedBefore {
  bool operator()(const Sequence* a, const Sequence* b) const {
    return std::tie(a->serve_from, a->arrival) < std::tie(b->serve_from, b->arrival);
  }
};

}  // namespace facet

#endif  // FACET_SHARD_SCHEDULER_SEQUENCE_H_
