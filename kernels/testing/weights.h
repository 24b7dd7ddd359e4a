#ifndef FACET_KERNELS_TESTING_WEIGHTS_H_
#define FACET_KERNELS_TESTING_WEIGHTS_H_

// Weights for tests of ops: what a checkpoint holds, and what its values are.

#include <cstdint>
#include <cstring>
#include <vector>

#include "base/dtype.h"
#include "base/testing/status_matchers.h"
#include "kernels/testing/matrix.h"
#include "kernels/weight_matrix.h"

namespace facet::testing {

// Rows of a checkpoint at an odd address, with the values that they stand for.
class StoredWeights {
 public:
  StoredWeights(DType dtype, int64_t rows, int64_t cols, uint32_t seed, float deviation = 1.0f)
      : values_(Matrix::Random(rows, cols, seed, deviation)) {
    const int64_t stride = cols + 5;
    const auto size = static_cast<int64_t>(SizeOf(dtype));
    bytes_.assign(static_cast<size_t>(rows * stride * size + 1), 0xff);  // NaN between the rows
    block_ = {bytes_.data() + 1, dtype, rows, cols, stride};
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        Store(&values_.at(r, c), dtype, bytes_.data() + 1 + (r * stride + c) * size);
      }
    }
  }
  StoredWeights(const StoredWeights&) = delete;
  StoredWeights& operator=(const StoredWeights&) = delete;
  StoredWeights(StoredWeights&&) = default;

  const WeightBlock& block() const { return block_; }
  double at(int64_t r, int64_t c) const { return values_.at(r, c); }

 private:
  // Writes the value and makes it what was written.
  static void Store(float* value, DType dtype, uint8_t* to) {
    if (dtype == DType::kF32) {
      std::memcpy(to, value, 4);
      return;
    }
    // Random halves are made from random bfloat16 numbers, which half precision holds exactly in
    // its normal range.
    uint16_t bits = FloatToBf16(*value);
    if (dtype == DType::kF16) {
      const float wide = Bf16ToFloat(bits);
      uint32_t u;
      std::memcpy(&u, &wide, 4);
      const int exponent = static_cast<int>(u >> 23 & 0xff) - 112;
      bits = exponent <= 0
                 ? 0
                 : static_cast<uint16_t>((u >> 16 & 0x8000) | exponent << 10 | (u >> 13 & 0x3ff));
      *value = F16ToFloat(bits);
    } else {
      *value = Bf16ToFloat(bits);
    }
    std::memcpy(to, &bits, 2);
  }

  Matrix values_;
  std::vector<uint8_t> bytes_;
  WeightBlock block_;
};

inline WeightMatrix PackOrDie(Backend& backend, absl::Span<const WeightBlock> blocks,
                              WeightFormat format) {
  auto matrix = WeightMatrix::Pack(backend, blocks, format);
  EXPECT_THAT(matrix, IsOk());
  return *std::move(matrix);
}

}  // namespace facet::testing

#endif  // FACET_KERNELS_TESTING_WEIGHTS_H_
