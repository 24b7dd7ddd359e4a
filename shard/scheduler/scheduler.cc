#include "shard/scheduler/scheduler.h"

#include <algorithm>
#include <string>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace facet {
namespace {

constexpr int kMaxContext = 1 << 24;

absl::Status CheckRange(const char* name, int value, int low, int high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(name, " is ", value, ", must be in [", low, ", ", high, "]"));
}

KvLayout LayoutOf(const Scheduler::Options& options) {
  KvLayout layout;
  layout.page_tokens = options.page_tokens;
  layout.has_global = options.global_pages > 0;
  layout.has_sliding = options.sliding_pages > 0;
  layout.sliding_window = options.sliding_window;
  return layout;
}

SequenceStep PlanOf(const Sequence& sequence, int tokens) {
  SequenceStep step;
  step.sequence_id = sequence.id;
  step.start_position = sequence.computed;
  const auto first = sequence.tokens.begin() + sequence.computed;
  step.tokens.assign(first, first + tokens);
  step.logits_from = tokens == sequence.remaining() ? tokens - 1 : tokens;
  const SequencePages& pages = sequence.pages;
  step.global_pages.assign(pages.global().begin(), pages.global().end());
  step.sliding_pages.assign(pages.sliding().begin(), pages.sliding().end());
  return step;
}

int FreePages(const KvBlockPool* pool) { return pool == nullptr ? 0 : pool->free_pages(); }
int UsedPages(const KvBlockPool* pool) { return pool == nullptr ? 0 : pool->used_pages(); }

}  // namespace

absl::Status Scheduler::Options::Validate() const {
  constexpr int kMax = 1 << 24;
  FACET_RETURN_IF_ERROR(CheckRange("max_step_tokens", max_step_tokens, 1, kMax));
  // So that each running sequence may advance in every step.
  FACET_RETURN_IF_ERROR(
      CheckRange("max_running_sequences", max_running_sequences, 1, max_step_tokens));
  FACET_RETURN_IF_ERROR(CheckRange("max_queue", max_queue, 1, kMax));
  FACET_RETURN_IF_ERROR(CheckRange("page_tokens", page_tokens, 1, 1 << 16));
  FACET_RETURN_IF_ERROR(CheckRange("global_pages", global_pages, 0, kMax));
  FACET_RETURN_IF_ERROR(CheckRange("sliding_pages", sliding_pages, 0, kMax));
  FACET_RETURN_IF_ERROR(CheckRange("max_context", max_context, 2, kMaxContext));
  if (global_pages == 0 && sliding_pages == 0) {
    return absl::InvalidArgumentError("global_pages and sliding_pages are both 0");
  }
  if (sliding_pages > 0) {
    FACET_RETURN_IF_ERROR(CheckRange("sliding_window", sliding_window, 1, kMaxContext));
  }
  if (!(priority_step >= absl::ZeroDuration() && priority_step <= absl::Hours(24))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "priority_step is ", absl::FormatDuration(priority_step), ", must be in [0, 24h]"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Scheduler>> Scheduler::Create(const Options& options) {
  FACET_RETURN_IF_ERROR(options.Validate());
  auto scheduler = absl::WrapUnique(new Scheduler(options));
  if (options.global_pages > 0) {
    FACET_ASSIGN_OR_RETURN(scheduler->global_pool_, KvBlockPool::Create(options.global_pages));
  }
  if (options.sliding_pages > 0) {
    FACET_ASSIGN_OR_RETURN(scheduler->sliding_pool_, KvBlockPool::Create(options.sliding_pages));
  }
  return scheduler;
}

Scheduler::Scheduler(const Options& options) : options_(options), layout_(LayoutOf(options)) {}

Scheduler::~Scheduler() = default;

absl::Status Scheduler::CheckRequest(const SequenceRequest& request, absl::Time now) const {
  if (request.prompt.empty()) return absl::InvalidArgumentError("the prompt has no tokens");
  if (request.prompt.size() >= static_cast<size_t>(options_.max_context)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt has ", request.prompt.size(),
                     " tokens, which leaves no room to generate in the ", "context of ",
                     options_.max_context, " tokens"));
  }
  if (request.max_new_tokens < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_new_tokens is ", request.max_new_tokens, ", must be at least 1"));
  }
  FACET_RETURN_IF_ERROR(CheckRange("priority", request.priority, -SequenceRequest::kMaxPriority,
                                   SequenceRequest::kMaxPriority));
  if (sequences_.contains(request.id)) {
    return absl::AlreadyExistsError(absl::StrCat("sequence ", request.id, " is live already"));
  }
  if (request.deadline <= now) {
    return absl::DeadlineExceededError("the deadline had passed on arrival");
  }
  return absl::OkStatus();
}

absl::Status Scheduler::Add(SequenceRequest request, absl::Time now) {
  latest_now_ = std::max(latest_now_, now);
  FACET_RETURN_IF_ERROR(CheckRequest(request, latest_now_));
  const int prompt_tokens = static_cast<int>(request.prompt.size());
  const int new_tokens = std::min(request.max_new_tokens, options_.max_context - prompt_tokens);
  const PageDemand demand = WorstCaseDemand(layout_, prompt_tokens + new_tokens - 1, 1);
  if (!demand.FitsIn({options_.global_pages, options_.sliding_pages})) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a prompt of ", prompt_tokens, " tokens and ", new_tokens, " new ones may need ",
        demand.global, " global and ", demand.sliding, " sliding KV pages; there are ",
        options_.global_pages, " and ", options_.sliding_pages));
  }
  if (queue_.size() >= static_cast<size_t>(options_.max_queue)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the queue is full: ", queue_.size(), " requests wait, the limit is ", options_.max_queue));
  }

  auto sequence =
      std::make_unique<Sequence>(layout_, KvPools{global_pool_.get(), sliding_pool_.get()});
  sequence->id = request.id;
  sequence->arrival = ++arrivals_;
  sequence->serve_from = latest_now_ - request.priority * options_.priority_step;
  sequence->deadline = request.deadline;
  sequence->tokens = std::move(request.prompt);
  sequence->max_tokens = prompt_tokens + new_tokens;
  if (sequence->deadline != absl::InfiniteFuture()) {
    deadlines_[{sequence->deadline, sequence->arrival}] = sequence.get();
  }
  queue_.insert(sequence.get());
  sequences_[sequence->id] = std::move(sequence);
  return absl::OkStatus();
}

bool Scheduler::Cancel(int64_t id) {
  const auto found = sequences_.find(id);
  if (found == sequences_.end()) return false;
  End(found->second.get());
  return true;
}

void Scheduler::PlanAhead(absl::Time now) { latest_now_ = std::max(latest_now_, now); }

void Scheduler::SetPaused(int64_t, bool) {}

std::vector<StartedRequest> Scheduler::TakeStarted() { return {}; }

std::vector<int64_t> Scheduler::TakeExpired() { return std::exchange(expired_, {}); }

SchedulerStats Scheduler::stats() const {
  SchedulerStats stats;
  stats.queued = static_cast<int>(queue_.size());
  stats.running = static_cast<int>(running_.size());
  stats.global_pages_used = UsedPages(global_pool_.get());
  stats.global_pages_total = options_.global_pages;
  stats.sliding_pages_used = UsedPages(sliding_pool_.get());
  stats.sliding_pages_total = options_.sliding_pages;
  stats.preemptions = preemptions_;
  stats.recomputed_tokens = recomputed_tokens_;
  return stats;
}

StepPlan Scheduler::Next(absl::Time now) {
  FACET_CHECK(!step_in_flight_) << "step " << step_ << " was not committed";
  latest_now_ = std::max(latest_now_, now);
  ExpireUntil(latest_now_);
  ++step_;
  shares_.clear();
  ShareAmongRunning();
  AdmitFromQueue();
  DealOutTheRest();
  return MakePlan();
}

void Scheduler::ExpireUntil(absl::Time now) {
  while (!deadlines_.empty() && deadlines_.begin()->first.first <= now) {
    Sequence* sequence = deadlines_.begin()->second;
    expired_.push_back(sequence->id);
    End(sequence);
  }
}

// In order, so that pages are only ever taken from a sequence whose share is not yet planned.
void Scheduler::ShareAmongRunning() {
  prompt_budget_ = options_.max_step_tokens;
  for (const Sequence* sequence : running_) prompt_budget_ -= sequence->decoding();

  for (size_t i = 0; i < running_.size(); ++i) {  // Preempt shortens running_
    Sequence* sequence = running_[i];
    const bool decoding = sequence->decoding();
    const int want = decoding ? 1 : PromptShare(sequence->remaining(), PromptsWaitAfter(i));
    if (want == 0) continue;
    // The last in order keeps its pages and waits when there are none for it.
    while (!TakeShare(sequence, want) && running_.back() != sequence) Preempt(running_.back());
  }
}

bool Scheduler::PromptsWaitAfter(size_t place) const {
  return !queue_.empty() || std::any_of(running_.begin() + place + 1, running_.end(),
                                        [](const Sequence* s) { return !s->decoding(); });
}

int Scheduler::PromptShare(int remaining, bool others_wait) const {
  int share = prompt_budget_;
  if (others_wait) {
    // Not in crumbs: a chunk of a few tokens costs about as much as one of a page.
    share = std::min(share, std::max((share + 1) / 2, options_.page_tokens));
  }
  return std::min(remaining, share);
}

// Gives the sequence up to `want` >= 1 tokens of this step: as many as have pages. Without a page
// for even one, it returns false and changes nothing.
bool Scheduler::TakeShare(Sequence* sequence, int want) {
  const int fits = sequence->pages.ReservableEnd() - sequence->computed;
  if (fits < 1) return false;
  const int tokens = std::min(want, fits);
  const absl::Status reserved = sequence->pages.Reserve(sequence->computed + tokens);
  FACET_CHECK(reserved.ok()) << reserved;
  if (!sequence->decoding()) prompt_budget_ -= tokens;
  shares_.push_back({sequence, tokens});
  return true;
}

void Scheduler::AdmitFromQueue() {
  while (!queue_.empty() && prompt_budget_ > 0 &&
         running_.size() < static_cast<size_t>(options_.max_running_sequences)) {
    Sequence* sequence = *queue_.begin();
    if (!HasRoomFor(*sequence)) return;
    queue_.erase(queue_.begin());
    running_.insert(std::upper_bound(running_.begin(), running_.end(), sequence, ServedBefore()),
                    sequence);
    sequence->running = true;
    // A one-token prompt counts as decoding, but its token was not set aside.
    if (sequence->decoding()) --prompt_budget_;
    const int want = sequence->decoding() ? 1 : PromptShare(sequence->remaining(), !queue_.empty());
    const bool taken = TakeShare(sequence, want);
    FACET_CHECK(taken) << "no page for sequence " << sequence->id << " on its admission";
  }
}

// Whether the free pages suffice for all of the sequence's known tokens, beside what the running
// prompts will still take, and a page more for each running sequence: so that the newcomer is not
// the next to be preempted. With nothing running all pages are free, and Add saw to it that they
// suffice, if need be for a token at a time.
bool Scheduler::HasRoomFor(const Sequence& newcomer) const {
  if (running_.empty()) return true;
  PageDemand claimed = DemandOf(newcomer);
  for (const Sequence* sequence : running_) {
    const PageDemand demand = DemandOf(*sequence);
    const PageDemand held = sequence->pages.held();
    claimed.global += std::max(0, demand.global - held.global);
    claimed.sliding += std::max(0, demand.sliding - held.sliding);
  }
  const int spare = static_cast<int>(running_.size());
  if (layout_.has_global) claimed.global += spare;
  if (layout_.has_sliding) claimed.sliding += spare;
  return claimed.FitsIn({FreePages(global_pool_.get()), FreePages(sliding_pool_.get())});
}

PageDemand Scheduler::DemandOf(const Sequence& sequence) const {
  return WorstCaseDemand(layout_, static_cast<int>(sequence.tokens.size()),
                         std::min(sequence.remaining(), options_.max_step_tokens));
}

// What halving or short prompts left of the budget, to the prompts in order.
void Scheduler::DealOutTheRest() {
  std::sort(shares_.begin(), shares_.end(),
            [](const Share& a, const Share& b) { return ServedBefore()(a.sequence, b.sequence); });
  for (Share& share : shares_) {
    Sequence& sequence = *share.sequence;
    const int end = sequence.computed + share.tokens;
    const int more = std::min({prompt_budget_, sequence.remaining() - share.tokens,
                               sequence.pages.ReservableEnd() - end});
    if (more <= 0) continue;
    const absl::Status reserved = sequence.pages.Reserve(end + more);
    FACET_CHECK(reserved.ok()) << reserved;
    share.tokens += more;
    prompt_budget_ -= more;
  }
}

StepPlan Scheduler::MakePlan() {
  std::stable_partition(shares_.begin(), shares_.end(),
                        [](const Share& share) { return share.sequence->decoding(); });
  StepPlan plan;
  plan.step = step_;
  plan.kind = shares_.empty() ? StepPlan::Kind::kIdle : StepPlan::Kind::kRun;
  FACET_CHECK(shares_.empty() == sequences_.empty()) << "no live sequence can advance";
  in_flight_.clear();
  rows_.clear();
  for (const Share& share : shares_) {
    const Sequence& sequence = *share.sequence;
    const bool yields_logits = share.tokens == sequence.remaining();
    plan.sequences.push_back(PlanOf(sequence, share.tokens));
    in_flight_.push_back({sequence.id, sequence.arrival, share.tokens, yields_logits});
    if (yields_logits) {
      LogitsRow row;
      row.sequence_id = sequence.id;
      row.row = static_cast<int32_t>(rows_.size());
      row.position = static_cast<int32_t>(sequence.tokens.size());
      rows_.push_back(row);
    }
  }
  step_in_flight_ = !shares_.empty();
  return plan;
}

void Scheduler::Commit(absl::Span<const NewToken> tokens) {
  auto next = tokens.begin();
  for (const InFlight& part : in_flight_) {
    const NewToken* token = nullptr;
    if (part.yields_logits && next != tokens.end() && next->sequence_id == part.id)
      token = &*next++;
    const auto found = sequences_.find(part.id);
    if (found == sequences_.end() || found->second->arrival != part.arrival) continue;  // cancelled
    FACET_CHECK(!part.yields_logits || token != nullptr) << "no token for sequence " << part.id;
    Advance(found->second.get(), part.tokens, token);
  }
  FACET_CHECK(next == tokens.end()) << "unexpected token for sequence " << next->sequence_id;
  in_flight_.clear();
  step_in_flight_ = false;
}

void Scheduler::Advance(Sequence* sequence, int computed, const NewToken* token) {
  sequence->computed += computed;
  if (token != nullptr) {
    sequence->tokens.push_back(token->token);
    if (token->finished || static_cast<int>(sequence->tokens.size()) == sequence->max_tokens) {
      End(sequence);
      return;
    }
  }
  sequence->pages.ReleaseBehindWindow(sequence->computed);
}

void Scheduler::Preempt(Sequence* sequence) {
  ++preemptions_;
  recomputed_tokens_ += sequence->computed;
  RemoveFromRunning(sequence);
  sequence->pages.ReleaseAll();
  sequence->computed = 0;
  queue_.insert(sequence);
}

void Scheduler::RemoveFromRunning(Sequence* sequence) {
  const auto place = std::lower_bound(running_.begin(), running_.end(), sequence, ServedBefore());
  FACET_CHECK(place != running_.end() && *place == sequence);
  running_.erase(place);
  sequence->running = false;
}

void Scheduler::End(Sequence* sequence) {
  if (sequence->running) {
    RemoveFromRunning(sequence);
  } else {
    queue_.erase(sequence);
  }
  deadlines_.erase({sequence->deadline, sequence->arrival});
  sequences_.erase(sequence->id);  // its pages go back to the pools
}

}  // namespace facet
