#include "shard/scheduler/step_planner.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "base/log.h"
#include "shard/scheduler/step_in_flight.h"

namespace facet {

StepPlanner::StepPlanner(const SchedulerOptions& options, const KvPools& pools,
                         SequenceTable* table)
    : options_(options), table_(table), room_(options, pools) {}

void StepPlanner::Plan() {
  ahead_ = false;
  CountBudget();
  ShareAmongRunning();
  AdmitFromQueue();
  DealOutTheRest();
}

void StepPlanner::PlanAhead() {
  ahead_ = true;
  CountBudget();
  if (ShareAmongRunning()) AdmitFromQueue();
}

void StepPlanner::CountBudget() {
  prompt_tokens_left_ = options_.max_step_tokens;
  rows_left_ = options_.logit_rows();
  prompts_unplanned_ = 0;
  places_left_ = options_.max_running_sequences;
  paused_ = 0;
  block_kept_for_ = nullptr;
  for (Sequence* sequence : table_->running()) {
    places_left_ -= sequence->family();
    paused_ += sequence->stalled();
    if (!sequence->plannable()) {
      sequence->planned = 0;  // paused since
      // It, and the n that it splits into, may be there again when the rest is planned.
      if (ahead_) {
        if (sequence->decoding()) prompt_tokens_left_ -= sequence->family();
        rows_left_ -= sequence->family();
      }
      continue;
    }
    const bool decoding = sequence->decoding();
    const bool waits = sequence->passed_over && sequence->planned == 0;
    if (waits && block_kept_for_ == nullptr) block_kept_for_ = sequence;
    prompt_tokens_left_ -= decoding ? 1 : sequence->planned;
    rows_left_ -= std::max(1, RowsOf(*sequence, sequence->planned));
    prompts_unplanned_ += !decoding && sequence->planned == 0;
  }
}

// In order, so that pages are only taken from a sequence for one before it. False if that was
// needed while planning ahead.
bool StepPlanner::ShareAmongRunning() {
  const std::vector<Sequence*>& running = table_->running();
  for (size_t i = 0; i < running.size(); ++i) {  // Preempt shortens it
    Sequence* sequence = running[i];
    if (sequence->planned > 0 || !sequence->plannable()) continue;
    // The copy's source is held until Commit, of the step in flight.
    if (ahead_ && sequence->shares_written_page) continue;
    int want = 1;
    if (!sequence->decoding()) {
      --prompts_unplanned_;
      want = PromptShare(*sequence, prompts_unplanned_ > 0 || !table_->queue().empty());
    }
    if (sequence == block_kept_for_) block_kept_for_ = nullptr;
    if (want <= 0) {
      NotePassedOver(sequence);
      continue;
    }
    while (!TakePart(sequence, want)) {
      if (ahead_) return false;
      Sequence* victim = VictimFor(sequence);
      // The last in order keeps its pages and waits when there are none for it.
      if (victim == nullptr) break;
      Preempt(victim);
      // A paused one before it may be gone.
      while (i > 0 && (i >= running.size() || running[i] != sequence)) --i;
    }
  }
  return true;
}

int StepPlanner::PromptShare(const Sequence& sequence, bool others_wait) const {
  int left = prompt_tokens_left_;
  if (block_kept_for_ != nullptr && block_kept_for_ != &sequence) {
    const int kept = block_kept_for_->BlockAt(block_kept_for_->computed);
    left = std::max(left - kept, std::min(left, 1));
  }
  int share = left;
  if (others_wait || ahead_) {
    // Not in crumbs: a chunk of a few tokens costs about as much as one of a page.
    share = std::min(share, std::max((share + 1) / 2, options_.page_tokens));
  }
  const int rows = others_wait || ahead_ ? rows_left_ / 2 : rows_left_;
  const int want = std::min({sequence.remaining(), share, MostTokensByRows(sequence, rows)});
  const bool first = &sequence == table_->running().front();
  return WithoutCut(sequence, want, first ? prompt_tokens_left_ : left);
}

// `want` tokens, or fewer so as to cut no block; or all of the block that comes next, if that is no
// more than `left`.
int StepPlanner::WithoutCut(const Sequence& sequence, int want, int left) const {
  const int start = sequence.computed + sequence.planned;
  const int uncut = sequence.Uncut(start, want);
  if (uncut > 0 || want <= 0) return uncut;
  const int block = sequence.BlockAt(start);
  return block <= left ? block : 0;
}

// It stands at a block that did not get its room.
void StepPlanner::NotePassedOver(Sequence* sequence) {
  sequence->passed_over = sequence->BlockAt(sequence->computed) > 0;
}

// How many tokens a part may have for its rows to be its own ones and `more`.
int StepPlanner::MostTokensByRows(const Sequence& sequence, int more) const {
  const int given = sequence.prompt_rows_given;
  if (!sequence.prompt_logits || given >= sequence.prompt_tokens - 1) {
    return std::numeric_limits<int>::max();
  }
  const int own = std::max(1, RowsOf(sequence, sequence.planned));
  return std::max(0, given - sequence.computed) + own + more;
}

// Gives the sequence up to `want` >= 1 tokens of this step: as many as have pages. Without a page
// for even one, it returns false and changes nothing.
bool StepPlanner::TakePart(Sequence* sequence, int want) {
  const int start = sequence->computed + sequence->planned;
  const int fits = sequence->pages.ReservableEnd(sequence->computed) - start;
  if (fits < 1) return false;
  const int tokens = fits < want ? sequence->Uncut(start, fits) : want;
  if (tokens < 1) return false;
  const absl::Status reserved =
      sequence->pages.Reserve(start + tokens, sequence->computed, &copies_);
  FACET_CHECK(reserved.ok()) << reserved;
  sequence->shares_written_page = false;
  sequence->passed_over = false;
  rows_left_ += std::max(1, RowsOf(*sequence, sequence->planned));
  sequence->planned += tokens;
  rows_left_ -= std::max(1, RowsOf(*sequence, sequence->planned));
  if (!sequence->decoding()) prompt_tokens_left_ -= tokens;
  return true;
}

void StepPlanner::AdmitFromQueue() {
  room_.Count(table_->running());
  while (prompt_tokens_left_ > 0) {
    const SequenceTable::Queue& queue = table_->queue();
    const auto head = std::find_if(queue.begin(), queue.end(),
                                   [](const Sequence* sequence) { return !sequence->stalled(); });
    if (head == queue.end()) return;
    Sequence* sequence = *head;
    if (rows_left_ <= 0 || !MakeRoomFor(*sequence)) return;
    table_->Start(sequence);
    AdoptPrefix(sequence);
    places_left_ -= sequence->family();
    --rows_left_;
    // A one-token prompt counts as decoding, but its token was not set aside.
    if (sequence->decoding()) --prompt_tokens_left_;
    const int want = sequence->decoding() ? 1 : PromptShare(*sequence, !table_->queue().empty());
    if (want <= 0) {
      NotePassedOver(sequence);
    } else {
      const bool taken = TakePart(sequence, want);
      FACET_CHECK(taken) << "no page for sequence " << sequence->id << " on its admission";
    }
    room_.Add(*sequence);
  }
}

// What the prefix cache may give it: nothing, where a row is wanted of each position.
CachedPrompt StepPlanner::CachedPromptOf(const Sequence& sequence) const {
  CachedPrompt prompt;
  const bool wants_rows =
      sequence.prompt_logits && sequence.prompt_rows_given < sequence.prompt_tokens - 1;
  if (!sequence.block_hashes.has_value() || wants_rows) return prompt;
  prompt.hashes = sequence.block_hashes->hashes();
  prompt.max_tokens = static_cast<int>(sequence.tokens.size()) - 1;
  if (sequence.media != nullptr) prompt.unsplit = sequence.media->unsplit;
  return prompt;
}

void StepPlanner::AdoptPrefix(Sequence* sequence) {
  if (!sequence->block_hashes.has_value()) return;
  sequence->computed = sequence->pages.AdoptPrefix(CachedPromptOf(*sequence));
  sequence->cached_tokens = sequence->computed;
  if (sequence->started) return;
  prefix_query_tokens_ += sequence->prompt_tokens;
  prefix_hit_tokens_ += sequence->computed;
}

bool StepPlanner::HasRoomForFork() {
  if (static_cast<int>(table_->running().size()) >= options_.max_running_sequences) return false;
  room_.Count(table_->running());
  return room_.HasRoomForFork();
}

// Whether there are a place and pages for it, if need be those of paused sequences, which then lose
// them. With nothing else running all pages are available, and Add saw to it that they suffice, if
// need be for a token at a time.
bool StepPlanner::MakeRoomFor(const Sequence& newcomer) {
  const bool alone = paused_ == static_cast<int>(table_->running().size());
  const CachedPrompt prompt = CachedPromptOf(newcomer);
  const auto has_room = [&](const PageDemand& beside) {
    return room_.HasRoomFor(newcomer, newcomer.pages.PeekPrefix(prompt), beside);
  };
  if (!alone && !has_room(HeldByPaused())) return false;
  while (places_left_ <= 0 || !has_room({})) {
    Sequence* victim = paused_ == 0 ? nullptr : LastPaused();
    if (victim == nullptr) return alone;
    if (ahead_) return false;
    Preempt(victim);
  }
  return true;
}

PageDemand StepPlanner::HeldByPaused() const {
  PageDemand sum;
  if (paused_ == 0) return sum;
  for (const Sequence* sequence : table_->running()) {
    if (!sequence->stalled()) continue;
    const PageDemand held = sequence->pages.held();
    sum = {sum.global + held.global, sum.sliding + held.sliding};
  }
  return sum;
}

// What halving or short prompts left of the budget, to the prompts in order.
void StepPlanner::DealOutTheRest() {
  for (Sequence* sequence : table_->running()) {
    if (sequence->planned == 0 || sequence->decoding()) continue;
    const int more = std::min({prompt_tokens_left_, sequence->remaining() - sequence->planned,
                               MostTokensByRows(*sequence, rows_left_) - sequence->planned});
    const int uncut = WithoutCut(*sequence, more, prompt_tokens_left_);
    if (uncut > 0) TakePart(sequence, uncut);
  }
}

// Who gives way to a running sequence that lacks a page: the last paused one, else the last one
// behind it in order.
Sequence* StepPlanner::VictimFor(const Sequence* sequence) const {
  if (paused_ > 0) return LastPaused();
  Sequence* last = table_->running().back();
  return last == sequence ? nullptr : last;
}

Sequence* StepPlanner::LastPaused() const {
  const std::vector<Sequence*>& running = table_->running();
  const auto last = std::find_if(running.rbegin(), running.rend(),
                                 [](const Sequence* sequence) { return sequence->stalled(); });
  return last == running.rend() ? nullptr : *last;
}

void StepPlanner::Preempt(Sequence* sequence) {
  ++preemptions_;
  recomputed_tokens_ += sequence->computed;
  if (sequence->stalled()) {
    --paused_;
  } else {
    prompt_tokens_left_ += sequence->decoding() ? 1 : sequence->planned;
    rows_left_ += std::max(1, RowsOf(*sequence, sequence->planned));
    prompts_unplanned_ -= !sequence->decoding() && sequence->planned == 0;
  }
  places_left_ += sequence->family();
  sequence->planned = 0;
  sequence->passed_over = false;
  sequence->published_blocks = 0;
  sequence->pages.ReleaseAll();
  sequence->computed = 0;
  table_->Requeue(sequence);
}

}  // namespace facet
