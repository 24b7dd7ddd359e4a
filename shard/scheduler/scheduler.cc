#include "shard/scheduler/scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace facet {
namespace {

int CachedPages(const KvBlockPool* pool) { return pool == nullptr ? 0 : pool->cached_pages(); }
int64_t Evictions(const KvBlockPool* pool) { return pool == nullptr ? 0 : pool->evictions(); }
int UsedPages(const KvBlockPool* pool) { return pool == nullptr ? 0 : pool->used_pages(); }

}  // namespace

absl::StatusOr<std::unique_ptr<Scheduler>> Scheduler::Create(const Options& options) {
  FACET_RETURN_IF_ERROR(options.Validate());
  auto scheduler = absl::WrapUnique(new Scheduler(options));
  if (options.global_pages > 0) {
    FACET_ASSIGN_OR_RETURN(scheduler->global_pool_, KvBlockPool::Create(options.global_pages));
  }
  if (options.sliding_pages > 0) {
    FACET_ASSIGN_OR_RETURN(scheduler->sliding_pool_, KvBlockPool::Create(options.sliding_pages));
  }
  const KvPools pools = {scheduler->global_pool_.get(), scheduler->sliding_pool_.get()};
  scheduler->planner_ = std::make_unique<StepPlanner>(options, pools, &scheduler->table_);
  return scheduler;
}

Scheduler::Scheduler(const Options& options) : options_(options), layout_(options.layout()) {}

Scheduler::~Scheduler() = default;

absl::Status Scheduler::CheckRequest(const SequenceRequest& request, absl::Time now) const {
  if (request.prompt.empty()) return absl::InvalidArgumentError("the prompt has no tokens");
  if (request.prompt.size() >= static_cast<size_t>(options_.max_context)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt has ", request.prompt.size(),
                     " tokens, which leaves no room to generate in the context of ",
                     options_.max_context, " tokens"));
  }
  if (request.max_new_tokens < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_new_tokens is ", request.max_new_tokens, ", must be at least 1"));
  }
  FACET_RETURN_IF_ERROR(
      CheckRange("n", request.n, 1, std::min(SequenceRequest::kMaxN, options_.max_queue)));
  FACET_RETURN_IF_ERROR(CheckRange("priority", request.priority, -SequenceRequest::kMaxPriority,
                                   SequenceRequest::kMaxPriority));
  for (int i = 0; i < request.n; ++i) {
    if (table_.Find(request.id + i) == nullptr) continue;
    return absl::AlreadyExistsError(absl::StrCat("sequence ", request.id + i, " is live already"));
  }
  if (request.deadline <= now) {
    return absl::DeadlineExceededError("the deadline had passed on arrival");
  }
  const int prompt_tokens = static_cast<int>(request.prompt.size());
  int least_chunk = 1;
  if (request.media != nullptr) {
    FACET_RETURN_IF_ERROR(request.media->Validate(prompt_tokens, options_.max_unsplit_tokens()));
    least_chunk = std::max(1, request.media->LongestUnsplit());
    if (request.prompt_logits && least_chunk > 1) {
      return absl::InvalidArgumentError(
          "the rows of a prompt's logits cannot be had where soft tokens see each other both ways");
    }
  }
  const int new_tokens = std::min(request.max_new_tokens, options_.max_context - prompt_tokens);
  const PageDemand demand = WorstCaseDemand(layout_, prompt_tokens + new_tokens - 1, least_chunk);
  if (!demand.FitsIn({options_.global_pages, options_.sliding_pages})) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a prompt of ", prompt_tokens, " tokens and ", new_tokens, " new ones may need ",
        demand.global, " global and ", demand.sliding, " sliding KV pages; there are ",
        options_.global_pages, " and ", options_.sliding_pages));
  }
  return absl::OkStatus();
}

absl::Status Scheduler::CheckQueue(const SequenceRequest& request) const {
  const int queued = table_.queued_sequences();
  if (queued + request.n > options_.max_queue) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the queue is full: ", queued, " requests wait, the limit is ", options_.max_queue));
  }
  const int64_t tokens = table_.queued_tokens();
  if (tokens + static_cast<int64_t>(request.prompt.size()) > options_.max_queue_tokens) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the queue is full: requests of ", tokens, " tokens wait, the limit is ",
                     options_.max_queue_tokens, ", and this one has ", request.prompt.size()));
  }
  return absl::OkStatus();
}

absl::Status Scheduler::Add(SequenceRequest request, absl::Time now) {
  latest_now_ = std::max(latest_now_, now);
  FACET_RETURN_IF_ERROR(CheckRequest(request, latest_now_));
  FACET_RETURN_IF_ERROR(CheckQueue(request));
  std::vector<std::unique_ptr<Sequence>> family;
  for (int i = 0; i < request.n; ++i) family.push_back(MakeSequence(request, i));
  arrivals_ += request.n;
  family.front()->started = false;
  family.front()->prompt_logits = request.prompt_logits;
  family.front()->tokens = std::move(request.prompt);
  if (options_.enable_prefix_cache) {
    family.front()->block_hashes = std::move(request.block_hashes);
  }
  table_.Add(std::move(family));
  return absl::OkStatus();
}

std::unique_ptr<Sequence> Scheduler::MakeSequence(const SequenceRequest& request, int i) const {
  auto sequence =
      std::make_unique<Sequence>(layout_, KvPools{global_pool_.get(), sliding_pool_.get()});
  sequence->id = request.id + i;
  sequence->request_id = request.id;
  sequence->arrival = arrivals_ + 1 + i;
  sequence->serve_from = latest_now_ - request.priority * options_.priority_step;
  sequence->deadline = request.deadline;
  sequence->media = request.media;
  sequence->prompt_tokens = static_cast<int>(request.prompt.size());
  sequence->max_tokens =
      sequence->prompt_tokens +
      std::min(request.max_new_tokens, options_.max_context - sequence->prompt_tokens);
  sequence->started = true;  // with the first of them
  return sequence;
}

bool Scheduler::Cancel(int64_t id) {
  Sequence* const sequence = table_.Find(id);
  if (sequence == nullptr) return false;
  End(sequence);
  return true;
}

void Scheduler::SetPaused(int64_t id, bool paused) {
  if (Sequence* const sequence = table_.Find(id)) sequence->paused = paused;
}

std::vector<StartedRequest> Scheduler::TakeStarted() { return std::exchange(started_, {}); }

std::vector<int64_t> Scheduler::TakeExpired() { return std::exchange(expired_, {}); }

SchedulerStats Scheduler::stats() const {
  SchedulerStats stats;
  stats.queued = table_.queued_sequences();
  stats.running = static_cast<int>(table_.running().size());
  stats.global_pages_used = UsedPages(global_pool_.get());
  stats.global_pages_total = options_.global_pages;
  stats.sliding_pages_used = UsedPages(sliding_pool_.get());
  stats.sliding_pages_total = options_.sliding_pages;
  stats.global_pages_cached = CachedPages(global_pool_.get());
  stats.sliding_pages_cached = CachedPages(sliding_pool_.get());
  stats.evictions = Evictions(global_pool_.get()) + Evictions(sliding_pool_.get());
  stats.prefix_query_tokens = planner_->prefix_query_tokens();
  stats.prefix_hit_tokens = planner_->prefix_hit_tokens();
  stats.preemptions = planner_->preemptions();
  stats.recomputed_tokens = planner_->recomputed_tokens();
  return stats;
}

StepPlan Scheduler::Next(absl::Time now) {
  FACET_CHECK(!in_flight_.active()) << "step " << step_ << " was not committed";
  ExpireUntil(now);
  planner_->Plan();
  NoteStarts();
  StepPlan plan = in_flight_.Begin(++step_, table_.running(), planner_->TakeCopies());
  if (plan.kind == StepPlan::Kind::kIdle) {
    const auto stalled = [](const Sequence* sequence) { return sequence->stalled(); };
    FACET_CHECK(std::all_of(table_.running().begin(), table_.running().end(), stalled) &&
                std::all_of(table_.queue().begin(), table_.queue().end(), stalled))
        << "no live sequence can advance";
  }
  return plan;
}

void Scheduler::PlanAhead(absl::Time now) {
  if (!in_flight_.active()) return;
  ExpireUntil(now);
  planner_->PlanAhead();
}

void Scheduler::ExpireUntil(absl::Time now) {
  latest_now_ = std::max(latest_now_, now);
  while (Sequence* const sequence = table_.FirstExpired(latest_now_)) {
    expired_.push_back(sequence->id);
    End(sequence);
  }
}

void Scheduler::NoteStarts() {
  for (Sequence* sequence : table_.running()) {
    if (sequence->started || sequence->planned == 0) continue;
    sequence->started = true;
    started_.push_back({sequence->request_id, sequence->cached_tokens});
  }
}

void Scheduler::Commit(absl::Span<const NewToken> tokens) {
  Publish();
  auto next = tokens.begin();
  const absl::Span<const LogitsRow> rows = in_flight_.rows();
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].is_prompt) continue;
    const int64_t id = rows[i].sequence_id;
    const NewToken* token = nullptr;
    if (next != tokens.end() && next->sequence_id == id) token = &*next++;
    Sequence* const sequence = in_flight_.target(i);
    if (sequence == nullptr) continue;  // it ended meanwhile
    FACET_CHECK(token != nullptr) << "no token for sequence " << id;
    if (!sequence->siblings.empty()) Fork(sequence);
    Accept(sequence, *token);
  }
  FACET_CHECK(next == tokens.end()) << "unexpected token for sequence " << next->sequence_id;
  for (Sequence* sequence : table_.running()) {
    if (!std::exchange(sequence->in_flight, false)) continue;
    sequence->pages.ReleaseBehindWindow(sequence->computed);
  }
  in_flight_.End();
}

// The pages that the step has filled, to the prefix cache.
void Scheduler::Publish() {
  for (Sequence* sequence : table_.running()) {
    if (!sequence->in_flight || !sequence->block_hashes.has_value()) continue;
    const int full_blocks = sequence->computed / options_.page_tokens;
    if (full_blocks == sequence->published_blocks) continue;
    sequence->published_blocks = full_blocks;
    BlockHashChain& chain = *sequence->block_hashes;
    if (full_blocks > static_cast<int>(chain.hashes().size())) {
      chain.Extend(absl::MakeConstSpan(sequence->tokens).first(sequence->computed));
    }
    sequence->pages.Publish(chain.hashes(), sequence->computed);
  }
}

// The n of a prompt go on from its pages. Those without a place or a page wait in the queue.
void Scheduler::Fork(Sequence* first) {
  const std::vector<Sequence*> siblings = first->siblings;
  table_.Split(first);
  for (Sequence* sequence : siblings) {
    sequence->block_hashes = first->block_hashes;
    if (!planner_->HasRoomForFork()) continue;
    table_.Start(sequence);
    sequence->pages.ForkFrom(first->pages, first->computed);
    sequence->computed = first->computed;
    sequence->in_flight = true;
    sequence->shares_written_page = first->shares_written_page = true;
  }
}

void Scheduler::Accept(Sequence* sequence, const NewToken& token) {
  sequence->tokens.back() = token.token;
  sequence->awaiting_token = false;
  if (token.finished || static_cast<int>(sequence->tokens.size()) == sequence->max_tokens) {
    End(sequence);
  }
}

void Scheduler::End(Sequence* sequence) {
  // What has a row in the step in flight awaits its token; one of n may share the row.
  const bool has_row = sequence->awaiting_token || sequence->first != nullptr;
  const SequenceTable::Erased erased = table_.Erase(sequence);
  if (has_row) in_flight_.Forget(erased);
}

}  // namespace facet
