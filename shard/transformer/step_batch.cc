#include "shard/transformer/step_batch.h"

namespace facet {
namespace {

int64_t FirstToken(const SequenceStep& sequence, StepRows rows) {
  return rows == StepRows::kAll ? 0 : sequence.logits_from;
}

}  // namespace

void FlattenPlan(const StepPlan& plan, StepRows rows, StepBatch& batch) {
  batch.token_ids.clear();
  batch.positions.clear();
  batch.global.clear();
  batch.sliding.clear();
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
    batch.sliding.push_back(part);
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
