#include "shard/transformer/kept_rows.h"

#include "kernels/ops/elementwise.h"
#include "shard/transformer/embedding.h"

namespace facet {
namespace {

// Copies the rows with logits of `x` to the front of `buffer`.
Tensor Take(const StepContext& step, const Tensor& x, int64_t rows, const Buffer& buffer) {
  const Tensor out = buffer.View(rows, x.cols);
  int64_t in_plan = 0;
  int64_t kept = 0;
  for (const SequenceStep& sequence : step.plan.sequences) {
    const auto tokens = static_cast<int64_t>(sequence.tokens.size());
    const int64_t count = tokens - sequence.logits_from;
    if (count > 0) {
      ops::Copy(step.rank.backend, x.Rows(in_plan + sequence.logits_from, count),
                out.Rows(kept, count));
    }
    in_plan += tokens;
    kept += count;
  }
  return out;
}

}  // namespace

Tensor KeepRowsWithLogits(StepContext& step, int i, const Tensor& query) {
  const int64_t rows = CountRows(step.plan, StepRows::kWithLogits);
  if (rows == step.batch.num_rows) return query;
  FlattenPlan(step.plan, StepRows::kWithLogits, step.rank.config.bidirectional_vision, step.batch);
  if (rows == 0) return Tensor();
  const Scratch& scratch = step.rank.scratch;
  step.residual = Take(step, step.residual, rows, scratch.kept_residual);
  if (const int64_t width = step.rank.config.per_layer_input_size; width > 0) {
    const int64_t first_column = (i - step.first_per_layer) * width;
    const Tensor remaining =
        step.per_layer.Columns(first_column, step.per_layer.cols - first_column);
    step.per_layer = Take(step, remaining, rows, scratch.kept_per_layer);
    step.first_per_layer = i;
  }
  ComputeRotary(step);
  return Take(step, query, rows, scratch.kept_query);
}

}  // namespace facet
