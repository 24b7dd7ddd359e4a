#ifndef FACET_SHARD_TRANSFORMER_STEP_BATCH_H_
#define FACET_SHARD_TRANSFORMER_STEP_BATCH_H_

// The rows of one step, sequence after sequence, as the ops take them.

#include <cstdint>
#include <vector>

#include "kernels/kv_pages.h"
#include "model/config.h"
#include "shard/step_plan.h"

namespace facet {

struct StepBatch {
  int64_t num_rows = 0;
  std::vector<int32_t> token_ids;  // [num_rows]
  std::vector<int32_t> positions;  // [num_rows]
  // Soft tokens of the rows from `row` on.
  struct SoftRows {
    int64_t row = 0;
    SoftTokens tokens;
  };
  std::vector<SoftRows> soft;  // by row
  // The same rows with the pages of either pool; they point into the plan.
  std::vector<AttentionSequence> global;
  std::vector<AttentionSequence> sliding;

  // [num_rows] in a model with blocks whose plan has any, else empty: see AttentionSequence.
  std::vector<int32_t> visible_end;

  const std::vector<AttentionSequence>& Sequences(AttentionKind kind) const {
    return kind == AttentionKind::kGlobal ? global : sliding;
  }
};

// Which rows of the plan's tokens to take.
enum class StepRows {
  kAll,
  kWithLogits,  // of each sequence the rows from logits_from on
};

// Fills `batch`, whose memory is reused from step to step. The plan must outlive its use.
// `with_blocks`: in sliding layers, pictures and frames are seen both ways (soft_tokens.h).
void FlattenPlan(const StepPlan& plan, StepRows rows, bool with_blocks, StepBatch& batch);

// The number of rows that FlattenPlan would take.
int64_t CountRows(const StepPlan& plan, StepRows rows);

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_STEP_BATCH_H_
