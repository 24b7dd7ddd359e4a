#ifndef FACET_SHARD_COLLECTIVE_RANK_ORDER_SUM_H_
#define FACET_SHARD_COLLECTIVE_RANK_ORDER_SUM_H_

#include <cstddef>

#include "absl/types/span.h"

namespace facet {

// out[i] = ((inputs[0][i] + inputs[1][i]) + inputs[2][i]) + ...  for i in [0, count), in float32.
// inputs: one pointer a rank, at least one, each to [count] values. `out` may be one of them.
// The bits of out[i] depend on the values alone, not on where the arrays lie.
void RankOrderSum(absl::Span<const float* const> inputs, size_t count, float* out);

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_RANK_ORDER_SUM_H_
