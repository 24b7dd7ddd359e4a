#include "shard/transformer/step_batch.h"

#include <algorithm>
#include <utility>

namespace facet {
namespace {

int64_t FirstToken(const SequenceStep& sequence, StepRows rows) {
  return rows == StepRows::kAll ? 0 : sequence.logits_from;
}

// The soft tokens among the rows of `part`, which start at its first_row.
void TakeSoftTokens(const SequenceStep& sequence, const AttentionSequence& part, StepBatch& batch) {
  const auto first = static_cast<int32_t>(part.start_position);
  for (const SoftTokens& run : sequence.soft_tokens) {
    SoftTokens of_rows = run.Between(first, first + static_cast<int32_t>(part.num_rows));
    if (of_rows.count <= 0) continue;
    const int64_t row = part.first_row + of_rows.position - first;
    batch.soft.push_back({row, std::move(of_rows)});
  }
}

bool HasBlocks(const StepPlan& plan) {
  const auto in_block = [](const SoftTokens& run) { return FormsBlocks(run.kind); };
  return std::any_of(plan.sequences.begin(), plan.sequences.end(), [&](const SequenceStep& step) {
    return std::any_of(step.soft_tokens.begin(), step.soft_tokens.end(), in_block);
  });
}

// A row of a block sees up to the block's end, whether or not that is among the rows.
void ExtendToBlocks(const SequenceStep& sequence, AttentionSequence& part, StepBatch& batch) {
  int32_t* const visible_end = batch.visible_end.data() + part.first_row;
  for (int64_t row = 0; row < part.num_rows; ++row) {
    visible_end[row] = static_cast<int32_t>(part.start_position + row + 1);
  }
  const std::vector<SoftTokens>& runs = sequence.soft_tokens;
  int32_t end = 0;  // of the block of runs[i]
  for (size_t i = runs.size(); i-- > 0;) {
    if (!FormsBlocks(runs[i].kind)) continue;
    const bool goes_on = i + 1 < runs.size() && FormsBlocks(runs[i + 1].kind) &&
                         runs[i].end() == runs[i + 1].position;
    if (!goes_on) end = runs[i].end();
    const int64_t first = std::max<int64_t>(runs[i].position, part.start_position);
    for (int64_t position = first; position < runs[i].end(); ++position) {
      visible_end[position - part.start_position] = end;
    }
  }
  part.visible_end = absl::MakeConstSpan(visible_end, static_cast<size_t>(part.num_rows));
}

}  // namespace

void FlattenPlan(const StepPlan& plan, StepRows rows, bool with_blocks, StepBatch& batch) {
  batch.token_ids.clear();
  batch.positions.clear();
  batch.soft.clear();
  batch.global.clear();
  batch.sliding.clear();
  with_blocks = with_blocks && HasBlocks(plan);
  batch.visible_end.resize(with_blocks ? static_cast<size_t>(CountRows(plan, rows)) : 0);
  for (const SequenceStep& sequence : plan.sequences) {
    const int64_t first = FirstToken(sequence, rows);
    const auto end = static_cast<int64_t>(sequence.tokens.size());
    if (first >= end) continue;
    AttentionSequence part;
    part.first_row = static_cast<int64_t>(batch.token_ids.size());
    part.num_rows = end - first;
    part.start_position = sequence.start_position + first;
    part.pages = sequence.global_pages;
    batch.global.push_back(part);
    part.pages = sequence.sliding_pages;
    if (with_blocks) ExtendToBlocks(sequence, part, batch);
    batch.sliding.push_back(part);
    TakeSoftTokens(sequence, part, batch);
    for (int64_t j = first; j < end; ++j) {
      batch.token_ids.push_back(sequence.tokens[j]);
      batch.positions.push_back(sequence.start_position + static_cast<int32_t>(j));
    }
  }
  batch.num_rows = static_cast<int64_t>(batch.token_ids.size());
}

int64_t CountRows(const StepPlan& plan, StepRows rows) {
  int64_t count = 0;
  for (const SequenceStep& sequence : plan.sequences) {
    count += static_cast<int64_t>(sequence.tokens.size()) - FirstToken(sequence, rows);
  }
  return count;
}

}  // namespace facet
