#include "shard/transformer/head.h"

#include "base/status_macros.h"
#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"
#include "kernels/ops/rms_norm.h"

namespace facet {
namespace {

// Puts the ranks' parts, [world_size * rows, widest], side by side: [rows, vocabulary].
Tensor JoinColumns(const StepContext& step, const Tensor& parts, int64_t rows) {
  const RankParts& rank = step.rank;
  const int64_t vocabulary = rank.config.vocab_size;
  const Tensor out = rank.scratch.logits.View(rows, vocabulary);
  for (int r = 0; r < rank.slice.world_size; ++r) {
    const IndexRange columns = EvenSplit(vocabulary, rank.slice.world_size, r);
    ops::Copy(rank.backend, parts.Rows(r * rows, rows).Columns(0, columns.count),
              out.Columns(columns.begin, columns.count));
  }
  return out;
}

}  // namespace

absl::StatusOr<Tensor> RunHead(StepContext& step) {
  const RankParts& rank = step.rank;
  rank.timer.Enter(&StepTimings::head);
  const HeadWeights& weights = rank.weights.head();
  const int64_t rows = step.batch.num_rows;
  const int64_t vocabulary = rank.config.vocab_size;
  const int64_t widest = WidestVocabularySlice(rank.config, rank.slice);

  const Tensor hidden = rank.scratch.hidden.View(rows, rank.config.hidden_size);
  ops::RmsNorm(rank.backend, step.residual, weights.norm.data(),
               static_cast<float>(rank.config.rms_norm_eps), hidden);
  const Tensor mine = rank.scratch.local_logits.View(rows, widest);
  const Tensor logits = mine.Columns(0, rank.slice.vocabulary.count);
  ops::MatMul(rank.backend, hidden, weights.logits, logits);
  if (rank.config.final_logit_softcapping > 0) {
    ops::SoftCap(rank.backend, logits, static_cast<float>(rank.config.final_logit_softcapping));
  }
  if (rank.exchange.alone()) return logits;

  // Slices of unequal width travel at the width of the widest; what fills them up is not read.
  const Tensor parts = rank.scratch.gathered_logits.View(rank.slice.world_size * rows, widest);
  FACET_RETURN_IF_ERROR(rank.exchange.Gather(mine, parts, "logits"));
  if (rank.slice.rank != 0) return Tensor{nullptr, DType::kF32, 0, vocabulary, vocabulary};
  // One row of equal slices is whole as it arrived.
  if (rows == 1 && widest * rank.slice.world_size == vocabulary) {
    return Tensor{parts.data, DType::kF32, 1, vocabulary, vocabulary};
  }
  return JoinColumns(step, parts, rows);
}

}  // namespace facet
