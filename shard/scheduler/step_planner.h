#ifndef FACET_SHARD_SCHEDULER_STEP_PLANNER_H_
#define FACET_SHARD_SCHEDULER_STEP_PLANNER_H_

// Gives each sequence its part of the next step: tokens within the budgets, and their pages. Starts
// what waits, and takes pages from the last in order when they run out. The rules are those of
// scheduler.h.
//
// A step may be planned in several calls: what a sequence has `planned` already, it keeps.
//
// Thread-safety: thread-compatible.

#include <cstddef>
#include <cstdint>
#include <utility>

#include "shard/cache/prefix_match.h"
#include "shard/cache/sequence_pages.h"
#include "shard/scheduler/page_room.h"
#include "shard/scheduler/scheduler_options.h"
#include "shard/scheduler/sequence.h"
#include "shard/scheduler/sequence_table.h"

namespace facet {

class StepPlanner {
 public:
  // `table` outlives the planner.
  StepPlanner(const SchedulerOptions& options, const KvPools& pools, SequenceTable* table);

  // Plans what is left to plan, with nothing in flight.
  void Plan();

  // Plans the step after the one in flight, as far as that takes nothing from anyone: no
  // preemption, and prompts get no more than they would if others came.
  void PlanAhead();

  // The copies that the step planned last starts with; they are then the caller's.
  PageCopies TakeCopies() { return std::exchange(copies_, {}); }

  // Whether a sequence that goes on with the pages of a running one has a place and a page.
  bool HasRoomForFork();

  int64_t prefix_query_tokens() const { return prefix_query_tokens_; }
  int64_t prefix_hit_tokens() const { return prefix_hit_tokens_; }
  int64_t preemptions() const { return preemptions_; }
  int64_t recomputed_tokens() const { return recomputed_tokens_; }

 private:
  void CountBudget();
  bool ShareAmongRunning();
  void AdmitFromQueue();
  CachedPrompt CachedPromptOf(const Sequence& sequence) const;
  bool MakeRoomFor(const Sequence& newcomer);
  void AdoptPrefix(Sequence* sequence);
  void DealOutTheRest();

  int PromptShare(const Sequence& sequence, bool others_wait) const;
  int WithoutCut(const Sequence& sequence, int want, int left) const;
  void NotePassedOver(Sequence* sequence);
  int MostTokensByRows(const Sequence& sequence, int more) const;
  bool TakePart(Sequence* sequence, int want);
  Sequence* VictimFor(const Sequence* sequence) const;
  Sequence* LastPaused() const;
  PageDemand HeldByPaused() const;
  void Preempt(Sequence* sequence);

  const SchedulerOptions options_;
  SequenceTable* const table_;
  PageRoom room_;

  // Of the step, what nobody has planned yet.
  int prompt_tokens_left_ = 0;  // those of decodes set aside
  int rows_left_ = 0;           // one for each running sequence set aside
  int prompts_unplanned_ = 0;   // running ones
  int places_left_ = 0;         // those of the n of a running prompt are taken; may be below 0
  int paused_ = 0;              // running ones
  // The first whose block found no room in the last step; null: none, or it is served.
  const Sequence* block_kept_for_ = nullptr;
  bool ahead_ = false;

  PageCopies copies_;

  int64_t prefix_query_tokens_ = 0;
  int64_t prefix_hit_tokens_ = 0;
  int64_t preemptions_ = 0;
  int64_t recomputed_tokens_ = 0;
};

}  // namespace facet

#endif  // FACET_SHARD_SCHEDULER_STEP_PLANNER_H_
