#ifndef FACET_SHARD_SCHEDULER_STEP_IN_FLIGHT_H_
#define FACET_SHARD_SCHEDULER_STEP_IN_FLIGHT_H_

// Turns the parts that sequences have in a step into its plan, and keeps what Commit must know of
// it: which sequence each row of logits is for. Sequences may end meanwhile.
//
// Thread-safety: thread-compatible.

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "shard/cache/sequence_pages.h"
#include "shard/scheduler/scheduler_types.h"
#include "shard/scheduler/sequence.h"
#include "shard/scheduler/sequence_table.h"
#include "shard/step_plan.h"

namespace facet {

// Rows of logits that a part of `tokens` tokens of the sequence yields.
int RowsOf(const Sequence& sequence, int tokens);

class StepInFlight {
 public:
  // The plan of what the running sequences have `planned`, those that generate first; kIdle if
  // nothing is. Moves them on: `computed` and `tokens` are then as they will be after the step, and
  // `planned` is 0. Starts with `copies`.
  StepPlan Begin(int64_t step, absl::Span<Sequence* const> running, PageCopies copies);

  void End();

  // Takes the memory of a plan for the next Begin.
  void Recycle(StepPlan plan);
  bool active() const { return active_; }

  absl::Span<const LogitsRow> rows() const { return rows_; }

  // Whose next token row i yields; null: nobody's, or that sequence has ended.
  Sequence* target(size_t i) const { return targets_[i]; }

  // No row is for what was erased any more; those of what went on as another, are for that.
  void Forget(const SequenceTable::Erased& erased);

 private:
  void TakePart(Sequence* sequence, SequenceStep* part);
  static void TakeSoftTokens(const Sequence& sequence, int tokens, SequenceStep* part);
  void AddRows(Sequence* sequence, int first_position, int end);
  void AddRow(Sequence* target, int64_t id, int32_t row, int position);

  bool active_ = false;
  StepPlan spare_;
  int32_t next_row_ = 0;
  std::vector<LogitsRow> rows_;
  std::vector<Sequence*> targets_;  // one for each of rows_
};

}  // namespace facet

#endif  // FACET_SHARD_SCHEDULER_STEP_IN_FLIGHT_H_
