#ifndef FACET_SHARD_SCHEDULER_SCHEDULER_TYPES_H_
#define FACET_SHARD_SCHEDULER_SCHEDULER_TYPES_H_

// What goes into a scheduler and what comes out of it. Plain data.

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "shard/cache/block_hash.h"
#include "shard/scheduler/prompt_media.h"

namespace facet {

struct SequenceRequest {
  // Of the first of `n` sequences: sequence i has id + i. Unique among the live sequences.
  int64_t id = 0;
  // Completions of the prompt. It is computed once; then each goes its own way, sharing its pages.
  int n = 1;  // in [1, min(kMaxN, max_queue)]
  // Every position of the prompt yields a row of logits; nothing is taken from the prefix cache.
  bool prompt_logits = false;
  std::vector<int32_t> prompt;  // at least one token
  int max_new_tokens = 0;       // >= 1; no more than the context leaves room for are generated
  int priority = 0;             // higher runs first; in [-kMaxPriority, kMaxPriority]
  absl::Time deadline = absl::InfiniteFuture();
  // Of the prompt, for pages of the scheduler's page_tokens: the prefix cache takes from and keeps
  // for those of the same chain. None: no caching. The scheduler goes on with what is generated.
  std::optional<BlockHashChain> block_hashes;
  // Of the prompt; null: text only. A block of `unsplit` may have at most
  // SchedulerOptions::max_unsplit_tokens(). `block_hashes` must know the contents.
  std::shared_ptr<const PromptMedia> media;

  static constexpr int kMaxPriority = 100;
  static constexpr int kMaxN = 16;
};

// What one row of a step's logits is for.
struct LogitsRow {
  int64_t sequence_id = 0;
  int32_t row = 0;  // of the step's logits [rows, vocab]; the n sequences of a prompt share one
  int32_t position = 0;    // of the token that it predicts, from the start of the prompt
  bool is_prompt = false;  // that token is known, it stands in the prompt: nothing is to be sampled
};

// A request that was planned for the first time.
struct StartedRequest {
  int64_t id = 0;         // as SequenceRequest has it
  int cached_tokens = 0;  // of its prompt, taken from the prefix cache
};

// The token that the caller sampled from a sequence's row.
struct NewToken {
  int64_t sequence_id = 0;
  int32_t token = 0;
  bool finished = false;  // an end token, or whatever else ends this sequence
};

struct SchedulerStats {
  int queued = 0;   // waiting, preempted ones and each of the n of a request included
  int running = 0;  // hold pages
  int global_pages_used = 0;
  int global_pages_total = 0;
  int sliding_pages_used = 0;
  int sliding_pages_total = 0;
  int64_t preemptions = 0;        // since the start
  int64_t recomputed_tokens = 0;  // since the start: tokens whose KV was lost by preemption
  // The prefix cache. Its pages are not in use, and given to whoever needs one.
  int global_pages_cached = 0;
  int sliding_pages_cached = 0;
  int64_t prefix_query_tokens = 0;  // since the start: of prompts looked up when they were started
  int64_t prefix_hit_tokens = 0;    // since the start: of these, taken from the cache
  int64_t evictions = 0;            // since the start: cached pages given to others, of both pools
};

}  // namespace facet

#endif  // FACET_SHARD_SCHEDULER_SCHEDULER_TYPES_H_
