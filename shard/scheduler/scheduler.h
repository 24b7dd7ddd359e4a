#ifndef FACET_SHARD_SCHEDULER_SCHEDULER_H_
#define FACET_SHARD_SCHEDULER_SCHEDULER_H_

// Decides what a shard group computes in each step. Pure logic: no I/O, no threads, no clock.
//
// Continuous batching: every step holds the newest token of each sequence that generates, then
// chunks of prompts, within a budget of tokens. A sequence needs KV pages of two pools for what it
// computes (shard/cache/sequence_pages.h). When a pool runs out, the last sequence in order loses
// its pages and goes back to the queue with its generated tokens kept; they are computed again
// behind its prompt ("preemption by recomputation"), which changes no result.
//
// Order. By priority, then arrival. One level of priority is worth `priority_step` of waiting: a
//   request with priority p that arrives at time t is served as if it had arrived, with priority 0,
//   at t - p * priority_step. So a newcomer of any priority overtakes a waiting request only for a
//   bounded time, and no request waits for ever. The queue is served strictly in this order: none
//   is passed over because a later one would fit. Running sequences are preempted from the other
//   end, and only for a running sequence before them; a newcomer waits for room.
// Fairness. Sequences that generate come first in every step, so a long prompt never holds them up.
//   Of the tokens left, each prompt in order may take half while others wait behind it (the rest
//   of the budget is then dealt out in order), so a long prompt neither blocks short ones nor is
//   starved by them. The first running sequence advances in every step.
//
// Blocks. Soft tokens that see each other both ways (PromptMedia::unsplit) are computed in one
// step:
//   a chunk ends before or behind them, and takes all of them even where that is more than its
//   share. A prompt whose block finds too little room in a step gets it in the next: the prompts
//   before it leave it aside, except for a block of the first one.
//
// Use, on one thread:
//
//   scheduler->Add(request, now);                 // any time between steps or during one
//   StepPlan plan = scheduler->Next(now);
//   Report(scheduler->TakeExpired());
//   if (plan.kind == StepPlan::Kind::kRun) {
//     logits = Execute(plan);                     // [scheduler->rows().size(), vocab]
//     scheduler->Commit(Sample(scheduler->rows(), logits));
//   }
//   scheduler->Recycle(std::move(plan));
//
// Thread-safety: thread-compatible.

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "shard/cache/kv_block_pool.h"
#include "shard/scheduler/scheduler_options.h"
#include "shard/scheduler/scheduler_types.h"
#include "shard/scheduler/sequence.h"
#include "shard/scheduler/sequence_table.h"
#include "shard/scheduler/step_in_flight.h"
#include "shard/scheduler/step_planner.h"
#include "shard/step_plan.h"

namespace facet {

class Scheduler {
 public:
  using Options = SchedulerOptions;

  // InvalidArgument if options.Validate() says so.
  static absl::StatusOr<std::unique_ptr<Scheduler>> Create(const Options& options);
  ~Scheduler();

  // Queues a request. It generates at most min(max_new_tokens, max_context - prompt) tokens.
  //   InvalidArgument    a field is wrong; the prompt leaves no room in the context; a block is
  //                      longer than a step has room for; or the KV could never fit in the pools.
  //                      Names the numbers; never retry as is.
  //   AlreadyExists      a live sequence has this id
  //   ResourceExhausted  the queue is full: retry later
  //   DeadlineExceeded   the deadline is not after `now`
  absl::Status Add(SequenceRequest request, absl::Time now);

  // Ends a sequence in any state and frees its pages. False if no live sequence has this id.
  // During a step (between Next and Commit) this is safe too: pages are given to others only by
  // Next, which waits for Commit; Commit then takes no token for it.
  bool Cancel(int64_t id);

  // Ends what has expired, then plans the next step. Every call counts one step. kIdle, with no
  // sequences, if none is live; then there is nothing to commit. Otherwise Commit must be called
  // before Next is again. The page tables of a pool that is off (0 pages) are empty.
  StepPlan Next(absl::Time now);

  // May be called once between Next and Commit, while the step is executed: does what is possible
  // of the next plan already, so that Next has less to do. Changes no result.
  void PlanAhead(absl::Time now);

  // A paused sequence keeps its place and its pages (unless others need them) but gets no steps; a
  // token of the step in flight is still taken. No effect on unknown ids.
  void SetPaused(int64_t id, bool paused);

  // What each row of logits of the last plan is for, by ascending `row`.
  absl::Span<const LogitsRow> rows() const { return in_flight_.rows(); }

  // Ends the step of the last plan. One token for each of rows() that is not is_prompt, in that
  // order; those of sequences cancelled since Next may be left out, and are ignored. A sequence
  // ends with its last permitted token whatever `finished` says.
  void Commit(absl::Span<const NewToken> tokens);

  // Takes a plan that is done with, so that Next may fill its memory again: saves most of Next's
  // time with many sequences. Never needed.
  void Recycle(StepPlan plan) { in_flight_.Recycle(std::move(plan)); }

  // Requests that were planned for the first time since the last call.
  std::vector<StartedRequest> TakeStarted();

  // Ids that expired since the last call: their deadline passed, in the queue or while running.
  std::vector<int64_t> TakeExpired();

  SchedulerStats stats() const;

 private:
  explicit Scheduler(const Options& options);

  absl::Status CheckRequest(const SequenceRequest& request, absl::Time now) const;
  absl::Status CheckQueue(const SequenceRequest& request) const;
  std::unique_ptr<Sequence> MakeSequence(const SequenceRequest& request, int i) const;
  void ExpireUntil(absl::Time now);
  void NoteStarts();
  void Publish();
  void Fork(Sequence* first);
  void Accept(Sequence* sequence, const NewToken& token);
  void End(Sequence* sequence);

  const Options options_;
  const KvLayout layout_;
  std::unique_ptr<KvBlockPool> global_pool_;   // null if off
  std::unique_ptr<KvBlockPool> sliding_pool_;  // null if off

  SequenceTable table_;
  std::unique_ptr<StepPlanner> planner_;
  StepInFlight in_flight_;

  int64_t step_ = 0;
  int64_t arrivals_ = 0;
  absl::Time latest_now_ = absl::InfinitePast();
  std::vector<StartedRequest> started_;
  std::vector<int64_t> expired_;
};

}  // namespace facet

#endif  // FACET_SHARD_SCHEDULER_SCHEDULER_H_
