#ifndef FACET_KERNELS_TESTING_MATRIX_H_
#define FACET_KERNELS_TESTING_MATRIX_H_

// Float matrices that own their memory, for tests of ops.

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/tensor.h"

namespace facet::testing {

// [rows, cols] with `padding` values after each row that no op may touch (see PaddingIsUntouched).
class Matrix {
 public:
  // Starts as NaN, so that an element which an op leaves out fails every comparison.
  Matrix(int64_t rows, int64_t cols, int64_t padding = 3)
      : rows_(rows), cols_(cols), stride_(cols + padding) {
    values_.assign(static_cast<size_t>(rows * stride_), std::numeric_limits<float>::quiet_NaN());
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = cols; c < stride_; ++c) values_[r * stride_ + c] = kGuard;
    }
  }

  // Normal values of the given standard deviation.
  static Matrix Random(int64_t rows, int64_t cols, uint32_t seed, float deviation = 1.0f) {
    Matrix matrix(rows, cols);
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(0.0f, deviation);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) matrix.at(r, c) = normal(generator);
    }
    return matrix;
  }

  float& at(int64_t r, int64_t c) { return values_[static_cast<size_t>(r * stride_ + c)]; }
  float at(int64_t r, int64_t c) const { return values_[static_cast<size_t>(r * stride_ + c)]; }
  const float* row(int64_t r) const { return values_.data() + r * stride_; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t stride() const { return stride_; }
  Tensor view() { return {values_.data(), DType::kF32, rows_, cols_, stride_}; }

  bool PaddingIsUntouched() const {
    for (int64_t r = 0; r < rows_; ++r) {
      for (int64_t c = cols_; c < stride_; ++c) {
        if (values_[r * stride_ + c] != kGuard) return false;
      }
    }
    return true;
  }

 private:
  static constexpr float kGuard = 12345.0f;
  int64_t rows_, cols_, stride_;
  std::vector<float> values_;
};

// Equal but for the sign of zero; NaN is unequal to everything.
inline void ExpectRowsEqual(const Matrix& a, int64_t a_row, const Matrix& b, int64_t b_row) {
  ASSERT_EQ(a.cols(), b.cols());
  for (int64_t c = 0; c < a.cols(); ++c) {
    ASSERT_EQ(a.at(a_row, c), b.at(b_row, c))
        << "row " << a_row << " and row " << b_row << ", column " << c;
  }
}

inline void ExpectEqual(const Matrix& a, const Matrix& b) {
  ASSERT_EQ(a.rows(), b.rows());
  for (int64_t r = 0; r < a.rows(); ++r) ExpectRowsEqual(a, r, b, r);
}

// Half a unit in the last place of 1: the relative error of one rounding to float32.
constexpr double kFloatEpsilon = 0x1p-24;
// The same for bfloat16.
constexpr double kBf16Epsilon = 0x1p-9;

}  // namespace facet::testing

#endif  // FACET_KERNELS_TESTING_MATRIX_H_
