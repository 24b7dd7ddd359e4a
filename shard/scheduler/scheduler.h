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
// Use, on one thread:
//
//   scheduler->Add(request, now);                 // any time between steps or during one
//   StepPlan plan = scheduler->Next(now);
//   Report(scheduler->TakeExpired());
//   if (plan.kind == StepPlan::Kind::kRun) {
//     logits = Execute(plan);                     // [scheduler->rows().size(), vocab]
//     scheduler->Commit(Sample(scheduler->rows(), logits));
//   }
//
// Thread-safety: thread-compatible.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "shard/cache/kv_block_pool.h"
#include "shard/cache/page_demand.h"
#include "shard/scheduler/sequence.h"
#include "shard/step_plan.h"

namespace facet {

struct SequenceRequest {
  // Of the first of `n` sequences: sequence i has id + i. Unique among the live sequences.
  int64_t id = 0;
  // Completions of the prompt. It is computed once; then each goes its own way, sharing its pages.
  int n = 1;
  // Every position of the prompt yields a row of logits; nothing is taken from the prefix cache.
  bool prompt_logits = false;
  std::vector<int32_t> prompt;  // at least one token
  int max_new_tokens = 0;       // >= 1; no more than the context leaves room for are generated
  int priority = 0;             // higher runs first; in [-kMaxPriority, kMaxPriority]
  absl::Time deadline = absl::InfiniteFuture();

  static constexpr int kMaxPriority = 100;
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
  int queued = 0;   // waiting, preempted ones included
  int running = 0;  // hold pages
  int global_pages_used = 0;
  int global_pages_total = 0;
  int sliding_pages_used = 0;
  int sliding_pages_total = 0;
  int64_t preemptions = 0;        // since the start
  int64_t recomputed_tokens = 0;  // since the start: tokens whose KV was lost by preemption
};

class Scheduler {
 public:
  struct Options {
    int max_step_tokens = 512;       // tokens of one step, all sequences together
    int max_running_sequences = 64;  // sequences that hold pages; at most max_step_tokens
    int max_queue = 256;             // waiting requests beyond which Add refuses; at least 1
    int page_tokens = 16;            // positions per KV page, in both pools
    int global_pages = 0;            // of all sequences; 0: no global layer owns KV
    int sliding_pages = 0;           // of all sequences; 0: no sliding layer owns KV
    int sliding_window = 0;          // keys that a sliding layer sees, the token itself included
    int max_context = 0;             // prompt and generated tokens of one sequence
    absl::Duration priority_step = absl::Seconds(10);  // waiting that one level of priority skips

    // InvalidArgument that names field, value and limit.
    absl::Status Validate() const;
  };

  // InvalidArgument if options.Validate() says so.
  static absl::StatusOr<std::unique_ptr<Scheduler>> Create(const Options& options);
  ~Scheduler();

  // Queues a request. It generates at most min(max_new_tokens, max_context - prompt) tokens.
  //   InvalidArgument    a field is wrong; the prompt leaves no room in the context; or its KV
  //   could
  //                      never fit in the pools. Names the numbers; never retry as is.
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
  absl::Span<const LogitsRow> rows() const { return rows_; }

  // Ends the step of the last plan. One token for each of rows() that is not is_prompt, in that
  // order; those of sequences cancelled since Next may be left out, and are ignored. A sequence
  // ends with its last permitted token whatever `finished` says.
  void Commit(absl::Span<const NewToken> tokens);

  // Requests that were planned for the first time since the last call.
  std::vector<StartedRequest> TakeStarted();

  // Ids that expired since the last call: their deadline passed, in the queue or while running.
  std::vector<int64_t> TakeExpired();

  SchedulerStats stats() const;

 private:
  // A sequence's share of the step that is being planned.
  struct Share {
    Sequence* sequence;
    int tokens;
  };
  // What Commit must remember of the step in flight. The sequence may be cancelled meanwhile.
  struct InFlight {
    int64_t id;
    int64_t arrival;
    int tokens;
    bool yields_logits;
  };

  explicit Scheduler(const Options& options);

  absl::Status CheckRequest(const SequenceRequest& request, absl::Time now) const;

  // Next, in the order of its calls.
  void ExpireUntil(absl::Time now);
  void ShareAmongRunning();
  void AdmitFromQueue();
  void DealOutTheRest();
  StepPlan MakePlan();

  int PromptShare(int remaining, bool others_wait) const;
  bool PromptsWaitAfter(size_t place) const;
  bool TakeShare(Sequence* sequence, int want);
  bool HasRoomFor(const Sequence& newcomer) const;
  PageDemand DemandOf(const Sequence& sequence) const;
  void Advance(Sequence* sequence, int computed, const NewToken* token);
  void Preempt(Sequence* sequence);
  void End(Sequence* sequence);
  void RemoveFromRunning(Sequence* sequence);

  const Options options_;
  const KvLayout layout_;
  std::unique_ptr<KvBlockPool> global_pool_;   // null if off
  std::unique_ptr<KvBlockPool> sliding_pool_;  // null if off

  // Every live sequence is in sequences_, and in just one of queue_ and running_.
  absl::flat_hash_map<int64_t, std::unique_ptr<Sequence>> sequences_;
  std::set<Sequence*, ServedBefore> queue_;
  std::vector<Sequence*> running_;                                 // sorted by ServedBefore
  std::map<std::pair<absl::Time, int64_t>, Sequence*> deadlines_;  // by (deadline, arrival)
  std::vector<int64_t> expired_;

  int64_t step_ = 0;
  int64_t arrivals_ = 0;
  absl::Time latest_now_ = absl::InfinitePast();
  int64_t preemptions_ = 0;
  int64_t recomputed_tokens_ = 0;

  // The step being planned.
  std::vector<Share> shares_;
  int prompt_budget_ = 0;  // tokens of the step that no share has yet, those of decodes set aside

  // The step in flight.
  bool step_in_flight_ = false;
  std::vector<InFlight> in_flight_;
  std::vector<LogitsRow> rows_;
};

}  // namespace facet

#endif  // FACET_SHARD_SCHEDULER_SCHEDULER_H_
