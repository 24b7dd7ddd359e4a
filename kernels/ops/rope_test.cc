#include "kernels/ops/rope.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/testing/backends.h"
#include "kernels/testing/matrix.h"

namespace facet::ops {
namespace {

using testing::kFloatEpsilon;
using testing::Matrix;

TEST(RopeFrequenciesTest, RotatesAllPairsOfTheDefaultKind) {
  const std::vector<float> f = RopeFrequencies(256, 10000, 1.0, 1.0);
  ASSERT_EQ(f.size(), 128u);
  for (int i = 0; i < 128; ++i) {
    const double want = std::pow(10000.0, -2.0 * i / 256);
    EXPECT_LE(std::abs(f[i] - want), 4 * kFloatEpsilon * want) << i;
  }
}

TEST(RopeFrequenciesTest, KeepsTheFullDenominatorInTheProportionalKind) {
  const std::vector<float> f = RopeFrequencies(512, 1e6, 0.25, 8.0);
  ASSERT_EQ(f.size(), 256u);
  for (int i = 0; i < 64; ++i) {
    const double want = std::pow(1e6, -2.0 * i / 512) / 8;
    EXPECT_LE(std::abs(f[i] - want), 4 * kFloatEpsilon * want) << i;
  }
  for (int i = 64; i < 256; ++i) EXPECT_EQ(f[i], 0.0f) << i;
}

TEST(RopeFrequenciesTest, RoundsThePartOfTinyHeadsDown) {
  const std::vector<float> f = RopeFrequencies(12, 100, 0.25, 1.0);  // floor(0.25 * 12 / 2) = 1
  EXPECT_EQ(f, (std::vector<float>{1, 0, 0, 0, 0, 0}));
}

class RopeTest : public testing::BackendTest {};

TEST_P(RopeTest, HasExactAnglesAtTheEndOfTheContext) {
  const std::vector<int32_t> positions = {0, 1, 511, 4095, 131071, 262143};
  const auto tokens = static_cast<int64_t>(positions.size());
  for (const std::vector<float>& f :
       {RopeFrequencies(256, 10000, 1.0, 1.0), RopeFrequencies(512, 1e6, 0.25, 1.0)}) {
    const auto half = static_cast<int64_t>(f.size());
    Matrix cos_sin(tokens, 2 * half);
    RopeAngles(*backend_, positions, f, cos_sin.view());
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t i = 0; i < half; ++i) {
        // The angle is what float32 makes of it; its cosine and sine are exact but for a rounding.
        const float angle = static_cast<float>(positions[t]) * f[i];
        const long double wide = angle;
        ASSERT_LE(std::abs(cos_sin.at(t, i) - std::cos(wide)), 2 * kFloatEpsilon) << t << " " << i;
        ASSERT_LE(std::abs(cos_sin.at(t, half + i) - std::sin(wide)), 2 * kFloatEpsilon);
      }
    }
  }
}

TEST_P(RopeTest, NormalisesAndRotatesEachHead) {
  constexpr float kEps = 1e-6f;
  for (int head_dim : {2, 6, 16, 24, 64, 256, 512}) {
    for (bool weighted : {false, true}) {
      for (bool rotated : {false, true}) {
        const int heads = 3, tokens = 5;
        Matrix x = Matrix::Random(tokens, heads * head_dim, 1, 2.0f);
        const Matrix weight = Matrix::Random(1, head_dim, 2), before = x;
        Matrix cos_sin(tokens, head_dim);
        const std::vector<int32_t> positions = {0, 3, 700, 5, 6};
        RopeAngles(*backend_, positions, RopeFrequencies(head_dim, 100, 1.0, 1.0), cos_sin.view());
        HeadNormRope(*backend_, x.view(), head_dim, weighted ? weight.row(0) : nullptr, kEps,
                     rotated ? cos_sin.view() : Tensor());
        ASSERT_TRUE(x.PaddingIsUntouched());
        for (int t = 0; t < tokens; ++t) {
          for (int h = 0; h < heads; ++h) {
            std::vector<double> n(head_dim);
            double sum = 0;
            for (int d = 0; d < head_dim; ++d) {
              n[d] = before.at(t, h * head_dim + d);
              sum += n[d] * n[d];
            }
            double largest = 0;
            for (int d = 0; d < head_dim; ++d) {
              n[d] *= 1 / std::sqrt(sum / head_dim + kEps) * (weighted ? weight.at(0, d) : 1.0f);
              largest = std::max(largest, std::abs(n[d]));
            }
            const int half = head_dim / 2;
            for (int d = 0; d < head_dim; ++d) {
              const int i = d % half;
              const double cos = cos_sin.at(t, i), sin = cos_sin.at(t, half + i);
              const double other = d < half ? -n[d + half] : n[d - half];
              const double want = rotated ? n[d] * cos + other * sin : n[d];
              ASSERT_LE(std::abs(x.at(t, h * head_dim + d) - want),
                        (head_dim / 64.0 + 20) * kFloatEpsilon * largest)
                  << "head_dim " << head_dim << " at " << t << ", " << h << ", " << d;
            }
          }
        }
      }
    }
  }
}

FACET_INSTANTIATE_FOR_ALL_BACKENDS(RopeTest);

}  // namespace
}  // namespace facet::ops
