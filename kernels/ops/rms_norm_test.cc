#include "kernels/ops/rms_norm.h"

#include <cmath>

#include "gtest/gtest.h"
#include "kernels/testing/backends.h"
#include "kernels/testing/matrix.h"

namespace facet::ops {
namespace {

using testing::kFloatEpsilon;
using testing::Matrix;

constexpr float kEps = 1e-6f;
constexpr int kCols[] = {1, 7, 15, 16, 17, 31, 63, 64, 65, 256, 1000, 5376};
constexpr int kRows[] = {0, 1, 3, 40};

double Normed(const Matrix& x, const Matrix* weight, int64_t r, int64_t c) {
  double sum = 0;
  for (int64_t i = 0; i < x.cols(); ++i) sum += double{x.at(r, i)} * x.at(r, i);
  const double inverse = 1 / std::sqrt(sum / static_cast<double>(x.cols()) + kEps);
  return x.at(r, c) * inverse * (weight ? weight->at(0, c) : 1.0f);
}

// A sum of `cols` squares in 64 parts, half of whose relative error the root keeps; 5 roundings
// for the rest.
double Tolerance(int cols) { return (cols / 64.0 + 8 + 5) * kFloatEpsilon; }

class RmsNormTest : public testing::BackendTest {};

TEST_P(RmsNormTest, AgreesWithTheFormulaInDouble) {
  for (int cols : kCols) {
    for (int rows : kRows) {
      for (bool weighted : {false, true}) {
        for (float deviation : {1.0f, 1e-4f, 1e4f}) {  // 1e-4: eps counts
          Matrix x = Matrix::Random(rows, cols, 1, deviation), out(rows, cols);
          const Matrix weight = Matrix::Random(1, cols, 2);
          RmsNorm(*backend_, x.view(), weighted ? weight.row(0) : nullptr, kEps, out.view());
          ASSERT_TRUE(out.PaddingIsUntouched());
          for (int r = 0; r < rows; ++r) {
            for (int c = 0; c < cols; c += 1 + cols / 40) {
              const double want = Normed(x, weighted ? &weight : nullptr, r, c);
              ASSERT_LE(std::abs(out.at(r, c) - want), Tolerance(cols) * std::abs(want))
                  << rows << "x" << cols << " at " << r << ", " << c;
            }
          }
        }
      }
    }
  }
}

TEST_P(RmsNormTest, WorksInPlace) {
  Matrix x = Matrix::Random(5, 100, 3), out(5, 100);
  RmsNorm(*backend_, x.view(), nullptr, kEps, out.view());
  RmsNorm(*backend_, x.view(), nullptr, kEps, x.view());
  ExpectEqual(x, out);
}

TEST_P(RmsNormTest, GivesZerosForZeros) {
  Matrix x(2, 33), out(2, 33);
  for (int r = 0; r < 2; ++r) {
    for (int c = 0; c < 33; ++c) x.at(r, c) = 0;
  }
  RmsNorm(*backend_, x.view(), nullptr, kEps, out.view());
  ExpectEqual(out, x);
}

TEST_P(RmsNormTest, AddsToTheResidualAndScales) {
  for (int cols : kCols) {
    for (int rows : kRows) {
      Matrix x = Matrix::Random(rows, cols, 4), residual = Matrix::Random(rows, cols, 5);
      const Matrix weight = Matrix::Random(1, cols, 6), before = residual;
      AddRmsNorm(*backend_, x.view(), weight.row(0), kEps, 0.7f, residual.view());
      ASSERT_TRUE(residual.PaddingIsUntouched());
      for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < cols; c += 1 + cols / 40) {
          const double normed = Normed(x, &weight, r, c);
          const double want = (before.at(r, c) + normed) * 0.7f;
          const double magnitude = std::abs(before.at(r, c)) + std::abs(normed);
          ASSERT_LE(std::abs(residual.at(r, c) - want),
                    (Tolerance(cols) + 2 * kFloatEpsilon) * magnitude);
        }
      }
    }
  }
}

FACET_INSTANTIATE_FOR_ALL_BACKENDS(RmsNormTest);

}  // namespace
}  // namespace facet::ops
