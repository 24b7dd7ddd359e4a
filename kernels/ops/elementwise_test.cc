#include "kernels/ops/elementwise.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/testing/backends.h"
#include "kernels/testing/matrix.h"

namespace facet::ops {
namespace {

using testing::kFloatEpsilon;
using testing::Matrix;

// Around the vector width, around the size from which rows are cut, and enough for threads.
constexpr std::pair<int, int> kShapes[] = {{0, 5},  {1, 1},   {3, 7},    {2, 15},    {2, 16},
                                           {2, 17}, {5, 100}, {700, 60}, {2, 20000}, {1, 8193}};

// Values from -range to range with every sign and magnitude.
Matrix Sweep(float range) {
  constexpr int kSteps = 4001;
  Matrix x(1, 2 * kSteps);
  for (int i = 0; i < kSteps; ++i) {
    x.at(0, i) = range * (static_cast<float>(i - kSteps / 2) / (kSteps / 2));
    x.at(0, kSteps + i) = std::ldexp(i % 2 ? 1.0f : -1.3f, -i % 140) * range;
  }
  return x;
}

class ElementwiseTest : public testing::BackendTest {};

TEST_P(ElementwiseTest, GeluMulAgreesWithTheFormulaInDouble) {
  for (float range : {3.0f, 12.0f, 1e4f}) {
    Matrix gate = Sweep(range);
    Matrix up = Matrix::Random(1, gate.cols(), 1), out(1, gate.cols());
    GeluMul(*backend_, gate.view(), up.view(), out.view());
    for (int64_t c = 0; c < gate.cols(); ++c) {
      const double u = gate.at(0, c);
      const double z = std::sqrt(2 / M_PI) * (u + 0.044715 * u * u * u);
      // The same as 0.5 u (1 + tanh z), without its cancellation.
      const double want = u / (1 + std::exp(-2 * z)) * up.at(0, c);
      // Where exp overflows, 0 stands for results below 1e-37. The exponent's own roundings, times
      // the exponent, are the relative error of exp.
      const double relative = (6 + 5 * std::min(std::abs(2 * z), 110.0)) * kFloatEpsilon;
      ASSERT_LE(std::abs(out.at(0, c) - want), relative * std::abs(want) + 1e-37) << u;
    }
  }
}

TEST_P(ElementwiseTest, SoftCapAgreesWithTanhInDouble) {
  for (float cap : {30.0f, 1.0f, 50.0f}) {
    for (float range : {0.5f, 40.0f, 1e4f, 1e30f}) {
      Matrix x = Sweep(range);
      const Matrix before = x;
      SoftCap(*backend_, x.view(), cap);
      for (int64_t c = 0; c < x.cols(); ++c) {
        const double want = cap * std::tanh(double{before.at(0, c)} / cap);
        ASSERT_LE(std::abs(x.at(0, c) - want), 8 * kFloatEpsilon * std::abs(want) + 1e-40)
            << before.at(0, c) << " cap " << cap;
        ASSERT_LE(std::abs(x.at(0, c)), cap);
      }
    }
  }
}

TEST_P(ElementwiseTest, LetsNanThroughAndInfinityToItsLimit) {
  const float inf = std::numeric_limits<float>::infinity();
  Matrix x(1, 20);
  for (int c = 0; c < 20; ++c) x.at(0, c) = c % 3 == 0 ? NAN : c % 3 == 1 ? inf : -inf;
  Matrix up(1, 20), out(1, 20);
  for (int c = 0; c < 20; ++c) up.at(0, c) = 1;
  GeluMul(*backend_, x.view(), up.view(), out.view());
  SoftCap(*backend_, x.view(), 30);
  for (int c = 0; c < 20; ++c) {
    if (c % 3 == 0) {
      EXPECT_TRUE(std::isnan(x.at(0, c)) && std::isnan(out.at(0, c))) << c;
    } else {
      EXPECT_EQ(x.at(0, c), c % 3 == 1 ? 30.0f : -30.0f) << c;
    }
  }
  EXPECT_EQ(out.at(0, 1), inf);
}

TEST_P(ElementwiseTest, CoversEveryElementOfEveryShape) {
  for (auto [rows, cols] : kShapes) {
    SCOPED_TRACE(std::to_string(rows) + "x" + std::to_string(cols));
    Matrix a = Matrix::Random(rows, cols, 1), b = Matrix::Random(rows, cols, 2);
    Matrix sum(rows, cols), copy(rows, cols), gelu(rows, cols), scaled = a, capped = a;
    AddScale(*backend_, a.view(), b.view(), 0.3f, sum.view());
    Copy(*backend_, a.view(), copy.view());
    GeluMul(*backend_, a.view(), b.view(), gelu.view());
    Scale(*backend_, scaled.view(), -2.5f);
    SoftCap(*backend_, capped.view(), 2.0f);
    ExpectEqual(copy, a);
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < cols; ++c) {
        const float x = a.at(r, c);
        ASSERT_EQ(sum.at(r, c), (x + b.at(r, c)) * 0.3f) << r << ", " << c;
        ASSERT_EQ(scaled.at(r, c), x * -2.5f) << r << ", " << c;
        ASSERT_LE(std::abs(capped.at(r, c) - 2 * std::tanh(x / 2)), 1e-6) << r << ", " << c;
        const float g = 0.5f * x * (1 + std::tanh(0.79788456f * (x + 0.044715f * x * x * x)));
        ASSERT_LE(std::abs(gelu.at(r, c) - g * b.at(r, c)), 1e-5) << r << ", " << c;
      }
    }
    for (const Matrix* m : {&sum, &copy, &gelu, &scaled, &capped}) {
      ASSERT_TRUE(m->PaddingIsUntouched());
    }
  }
}

TEST_P(ElementwiseTest, WritesOverItsOwnInputs) {
  Matrix a = Matrix::Random(4, 50, 1), b = Matrix::Random(4, 50, 2), out(4, 50);
  GeluMul(*backend_, a.view(), b.view(), out.view());
  Matrix gate = a;
  GeluMul(*backend_, gate.view(), b.view(), gate.view());
  ExpectEqual(gate, out);
  AddScale(*backend_, a.view(), b.view(), 2, out.view());
  Matrix left = a, right = b;
  AddScale(*backend_, left.view(), b.view(), 2, left.view());
  AddScale(*backend_, a.view(), right.view(), 2, right.view());
  ExpectEqual(left, out);
  ExpectEqual(right, out);
}

FACET_INSTANTIATE_FOR_ALL_BACKENDS(ElementwiseTest);

}  // namespace
}  // namespace facet::ops
