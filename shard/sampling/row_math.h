#ifndef FACET_SHARD_SAMPLING_ROW_MATH_H_
#define FACET_SHARD_SAMPLING_ROW_MATH_H_

// Passes over a whole row of logits (262144 of them), four lanes at a time. The same bits on every
// machine: no library function, no fused multiply-add, a fixed order of sums.

#include <cstdint>

#include "absl/types/span.h"

namespace facet {

struct RowMax {
  float max = 0;       // -infinity for an empty row
  bool valid = false;  // no NaN and no +infinity. (-infinity is a masked token.)
};

// `max` means nothing unless `valid`.
RowMax MaxOfRow(absl::Span<const float> row);

// Index of the first element that equals `value`, or -1.
int32_t FirstEqual(absl::Span<const float> row, float value);

// Skips what is not above `threshold`: the start of the first block of kRowBlock elements, counted
// from `start`, that has one above it, or of the rest of the row if it is shorter than a block.
inline constexpr size_t kRowBlock = 16;
size_t NextBlockAbove(absl::Span<const float> row, size_t start, float threshold);

// weights[i] = exp((row[i] - max) * inverse_temperature), for row[i] <= max: 1 at the maximum
// itself, and 0 below 1e-37. Relative error below 2^-22 plus 2^-22 of the exponent (88 at most).
void ExpWeights(absl::Span<const float> row, float max, float inverse_temperature, float* weights);

// In double, in a fixed order.
double SumOfRow(absl::Span<const float> row);

}  // namespace facet

#endif  // FACET_SHARD_SAMPLING_ROW_MATH_H_
