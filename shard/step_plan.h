#ifndef FACET_SHARD_STEP_PLAN_H_
#define FACET_SHARD_STEP_PLAN_H_

// What every rank of a shard group does in one step: decided by the leader's scheduler, broadcast,
// executed alike by all ranks. Plain data.

#include <cstdint>
#include <vector>

#include "shard/soft_tokens.h"

namespace facet {

// One sequence's part of a step: a chunk of its prompt, or its newest token.
struct SequenceStep {
  int64_t sequence_id = 0;      // for logs; no rank keeps state by it
  int32_t start_position = 0;   // of tokens[0]
  std::vector<int32_t> tokens;  // at least one
  // Rows [logits_from, tokens.size()) yield logits; tokens.size(): none (an early prompt chunk).
  int32_t logits_from = 0;
  // Page ids of the two pools for each block of page_tokens positions from 0 on, reaching the last
  // token's position. Sliding pages behind the window are -1: they were given back.
  std::vector<int32_t> global_pages;
  std::vector<int32_t> sliding_pages;
  // Of the positions of `tokens` that have them, ordered by position and not overlapping. Of a
  // model with blocks (FormsBlocks), a step holds all of a block or nothing.
  std::vector<SoftTokens> soft_tokens;
};

// The contents of one page of a pool, in every layer that owns KV of its kind, over those of
// another: a sequence is about to write a page that it shared until now.
struct PageCopy {
  int32_t from = 0;
  int32_t to = 0;
};

struct StepPlan {
  enum class Kind : int32_t {
    kRun,   // execute `sequences`
    kIdle,  // nothing to do: says that the leader is alive
    kStop,  // an orderly end: ranks leave their loop
  };
  Kind kind = Kind::kRun;
  int64_t step = 0;  // counts up from 1
  // Done before anything else of the step, in any order: no page is both source and target.
  std::vector<PageCopy> global_copies;
  std::vector<PageCopy> sliding_copies;
  std::vector<SequenceStep> sequences;
};

}  // namespace facet

#endif  // FACET_SHARD_STEP_PLAN_H_
