#ifndef FACET_KERNELS_WEIGHT_MATRIX_H_
#define FACET_KERNELS_WEIGHT_MATRIX_H_

// A weight [out, in] in the layout that the backend's matrix multiplication reads.

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/dtype.h"
#include "kernels/backend.h"

namespace facet {

// Storage of weights. Quantised formats (int8, int4 with group scales) take their place here.
enum class WeightFormat {
  kF32,
  kBF16,     // activations stay float32: each weight is widened exactly
  kBF16Dot,  // activations may be rounded to bfloat16, where the CPU multiplies bfloat16 pairs
};

// A block of rows as a checkpoint holds it: `rows` rows of `cols` elements, `row_stride` elements
// apart, possibly unaligned. Borrowed; only read while a WeightMatrix is packed.
struct WeightBlock {
  const uint8_t* data = nullptr;
  DType dtype = DType::kBF16;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t row_stride = 0;
};

// Packed weights; immutable after Pack, so ops may read it from any thread.
//
// CPU layout: panels of 16 rows; within a panel [ceil(in/2)][16][2] for bfloat16 (pairs along `in`)
// and [in][16] for float32; missing rows and the odd column are zeros.
class WeightMatrix {
 public:
  WeightMatrix() = default;

  // Stacks the blocks vertically (their `cols` must be equal): q over k over v, gate over up.
  // InvalidArgument on unequal widths or no rows; ResourceExhausted without memory.
  static absl::StatusOr<WeightMatrix> Pack(Backend& backend, absl::Span<const WeightBlock> blocks,
                                           WeightFormat format);

  // Bytes that Pack will take for such a matrix; for the memory planner.
  static int64_t PackedBytes(int64_t out, int64_t in, WeightFormat format);

  int64_t out() const { return out_; }
  int64_t in() const { return in_; }
  WeightFormat format() const { return format_; }
  const void* data() const { return buffer_.data(); }
  int64_t bytes() const { return static_cast<int64_t>(buffer_.bytes()); }

 private:
  int64_t out_ = 0;
  int64_t in_ = 0;
  WeightFormat format_ = WeightFormat::kBF16;
  Buffer buffer_;
};

}  // namespace facet

#endif  // FACET_KERNELS_WEIGHT_MATRIX_H_
