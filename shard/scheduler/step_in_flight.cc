#include "shard/scheduler/step_in_flight.h"

#include <algorithm>
#include <utility>

namespace facet {
namespace {

// The first position of the next `tokens` tokens whose row is wanted; behind them: none is.
int FirstRow(const Sequence& sequence, int tokens) {
  const int end = sequence.computed + tokens;
  const bool yields_token = tokens == sequence.remaining();
  const int last = yields_token ? end - 1 : end;
  if (!sequence.prompt_logits || sequence.prompt_rows_given >= sequence.prompt_tokens - 1) {
    return last;
  }
  return std::clamp(sequence.prompt_rows_given, sequence.computed, last);
}

}  // namespace

int RowsOf(const Sequence& sequence, int tokens) {
  return sequence.computed + tokens - FirstRow(sequence, tokens);
}

StepPlan StepInFlight::Begin(int64_t step, absl::Span<Sequence* const> running, PageCopies copies) {
  End();
  StepPlan plan = std::exchange(spare_, {});
  plan.step = step;
  plan.global_copies = std::move(copies.global);
  plan.sliding_copies = std::move(copies.sliding);
  size_t parts = 0;
  const auto take = [&](Sequence* sequence) {
    if (parts == plan.sequences.size()) plan.sequences.emplace_back();
    TakePart(sequence, &plan.sequences[parts++]);
  };
  // Begin changes `decoding` of a sequence as it takes it: then it has nothing planned any more.
  for (Sequence* sequence : running) {
    if (sequence->planned > 0 && sequence->decoding()) take(sequence);
  }
  for (Sequence* sequence : running) {
    if (sequence->planned > 0) take(sequence);
  }
  plan.sequences.resize(parts);
  active_ = parts > 0;
  plan.kind = active_ ? StepPlan::Kind::kRun : StepPlan::Kind::kIdle;
  return plan;
}

void StepInFlight::Recycle(StepPlan plan) {
  for (SequenceStep& part : plan.sequences) part.soft_tokens.clear();  // they hold memory
  spare_ = std::move(plan);
}

void StepInFlight::TakePart(Sequence* sequence, SequenceStep* part) {
  const int tokens = std::exchange(sequence->planned, 0);
  const int first_row = FirstRow(*sequence, tokens);
  part->sequence_id = sequence->id;
  part->start_position = sequence->computed;
  const auto first = sequence->tokens.begin() + sequence->computed;
  part->tokens.assign(first, first + tokens);
  part->logits_from = first_row - sequence->computed;
  TakeSoftTokens(*sequence, tokens, part);
  const SequencePages& pages = sequence->pages;
  part->global_pages.assign(pages.global().begin(), pages.global().end());
  part->sliding_pages.assign(pages.sliding().begin(), pages.sliding().end());

  const int end = sequence->computed + tokens;
  AddRows(sequence, first_row, end);
  sequence->computed = end;
  sequence->in_flight = true;
  if (end == static_cast<int>(sequence->tokens.size())) {
    sequence->tokens.push_back(0);  // Commit knows it
    sequence->awaiting_token = true;
  }
}

void StepInFlight::TakeSoftTokens(const Sequence& sequence, int tokens, SequenceStep* part) {
  part->soft_tokens.clear();  // of the plan whose memory it is
  if (sequence.media == nullptr) return;
  const int end = sequence.computed + tokens;
  for (const SoftTokens& run : sequence.media->soft_tokens) {
    if (run.position >= end) return;
    if (run.end() <= sequence.computed) continue;
    part->soft_tokens.push_back(run.Between(sequence.computed, end));
  }
}

void StepInFlight::AddRows(Sequence* sequence, int first_position, int end) {
  const int last = static_cast<int>(sequence->tokens.size()) - 1;
  for (int position = first_position; position < end; ++position) {
    const int32_t row = next_row_++;
    if (position < last) {
      AddRow(nullptr, sequence->id, row, position + 1);
      sequence->prompt_rows_given = position + 1;
      continue;
    }
    AddRow(sequence, sequence->id, row, position + 1);
    for (Sequence* sibling : sequence->siblings) AddRow(sibling, sibling->id, row, position + 1);
  }
}

void StepInFlight::AddRow(Sequence* target, int64_t id, int32_t row, int position) {
  LogitsRow entry;
  entry.sequence_id = id;
  entry.row = row;
  entry.position = position;
  entry.is_prompt = target == nullptr;
  rows_.push_back(entry);
  targets_.push_back(target);
}

void StepInFlight::End() {
  active_ = false;
  next_row_ = 0;
  rows_.clear();
  targets_.clear();
}

void StepInFlight::Forget(const SequenceTable::Erased& erased) {
  for (Sequence*& target : targets_) {
    if (target == nullptr) continue;
    if (target == erased.heir) {
      target = nullptr;
    } else if (target == erased.gone) {
      target = erased.heir;
    }
  }
}

}  // namespace facet
