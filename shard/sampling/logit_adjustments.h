#ifndef FACET_SHARD_SAMPLING_LOGIT_ADJUSTMENTS_H_
#define FACET_SHARD_SAMPLING_LOGIT_ADJUSTMENTS_H_

// What changes the logits of single tokens before the distribution is formed.

#include <cstdint>

#include "absl/types/span.h"
#include "shard/sampling/sampling_params.h"
#include "shard/sampling/token_counts.h"

namespace facet {

// Whether AdjustLogits would change anything, so that a caller may save the copy of the row.
bool AdjustsLogits(const SamplingParams& params, absl::Span<const int32_t> masked);

// In this order (formulas: sampler.h):
//   logit bias; params.suppress_tokens and `masked` become -infinity; repetition penalty over all
//   of `counts`; frequency and presence penalty over what was generated.
// Ids outside the row are ignored. No result is NaN or +infinity if no logit was.
void AdjustLogits(const SamplingParams& params, const TokenCounts& counts,
                  absl::Span<const int32_t> masked, absl::Span<float> row);

}  // namespace facet

#endif  // FACET_SHARD_SAMPLING_LOGIT_ADJUSTMENTS_H_
