#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/ops/banded_attention.h"
#include "kernels/ops/clamp.h"
#include "kernels/ops/gates.h"
#include "kernels/testing/backends.h"
#include "kernels/testing/matrix.h"

namespace facet::ops {
namespace {

using testing::Matrix;

// Around the vector width, and enough for threads.
constexpr std::pair<int, int> kShapes[] = {{0, 5},  {1, 1},  {3, 7},    {2, 15},
                                           {2, 16}, {2, 17}, {700, 60}, {2, 20000}};

class TowerOpsTest : public testing::BackendTest {};

TEST_P(TowerOpsTest, ClampKeepsValuesWithinItsBounds) {
  for (const auto& [rows, cols] : kShapes) {
    Matrix x = Matrix::Random(rows, cols, 1), out(rows, cols);
    Clamp(*backend_, x.view(), -0.5f, 0.75f, out.view());
    for (int t = 0; t < rows; ++t) {
      for (int c = 0; c < cols; ++c) {
        ASSERT_EQ(out.at(t, c), std::min(std::max(x.at(t, c), -0.5f), 0.75f)) << cols;
      }
    }
    EXPECT_TRUE(out.PaddingIsUntouched());
  }
  Matrix nan(1, 20), out(1, 20);
  Clamp(*backend_, nan.view(), -1, 1, out.view());
  for (int c = 0; c < 20; ++c) EXPECT_TRUE(std::isnan(out.at(0, c)));
}

TEST_P(TowerOpsTest, GatesAgreeWithTheFormulasInDouble) {
  for (const auto& [rows, cols] : kShapes) {
    Matrix x = Matrix::Random(rows, 2 * cols, 1, 4), out(rows, cols);
    GatedLinearUnit(*backend_, x.view(), out.view());
    Matrix silu = x;
    Silu(*backend_, silu.view());
    for (int t = 0; t < rows; ++t) {
      for (int c = 0; c < cols; ++c) {
        const double gate = x.at(t, cols + c), value = x.at(t, c);
        ASSERT_NEAR(out.at(t, c), value / (1 + std::exp(-gate)), 1e-6 * std::abs(value)) << cols;
        ASSERT_NEAR(silu.at(t, c), value / (1 + std::exp(-value)), 1e-6 * std::abs(value)) << cols;
      }
    }
    EXPECT_TRUE(out.PaddingIsUntouched() && silu.PaddingIsUntouched());
  }
}

TEST_P(TowerOpsTest, SiluOfLargeValuesIsTheValueOrNothing) {
  Matrix x(1, 4);
  const float values[] = {1e30f, -1e30f, 200, -200};
  for (int c = 0; c < 4; ++c) x.at(0, c) = values[c];
  Silu(*backend_, x.view());
  EXPECT_EQ(x.at(0, 0), 1e30f);
  EXPECT_NEAR(x.at(0, 1), 0, 1e-7);
  EXPECT_EQ(x.at(0, 2), 200);
  EXPECT_NEAR(x.at(0, 3), 0, 1e-30);
}

TEST_P(TowerOpsTest, CausalDepthwiseConvSeesThisAndEarlierRowsOfItsChannel) {
  for (const int count : {1, 3, 5}) {
    for (const auto& [rows, cols] : kShapes) {
      Matrix x = Matrix::Random(rows, cols, 1), out(rows, cols);
      const Matrix taps = Matrix::Random(count, cols, 2);
      std::vector<float> dense;
      for (int j = 0; j < count; ++j) {
        dense.insert(dense.end(), taps.row(j), taps.row(j) + cols);
      }
      CausalDepthwiseConv(*backend_, x.view(), dense.data(), count, out.view());
      for (int t = 0; t < rows; ++t) {
        for (int c = 0; c < cols; ++c) {
          double want = 0;
          for (int j = std::max(0, count - 1 - t); j < count; ++j) {
            want += double{taps.at(j, c)} * x.at(t - (count - 1) + j, c);
          }
          ASSERT_NEAR(out.at(t, c), want, 1e-5) << count << " taps, row " << t;
        }
      }
      EXPECT_TRUE(out.PaddingIsUntouched());
    }
  }
}

TEST_P(TowerOpsTest, LayerNormReluAgreesWithTheFormulaInDouble) {
  constexpr float kEps = 1e-3f;
  for (const auto& [rows, cols] : kShapes) {
    Matrix x = Matrix::Random(rows, cols, 1), weight = Matrix::Random(1, cols, 2);
    for (int t = 0; t < rows; ++t) {
      for (int c = 0; c < cols; ++c) x.at(t, c) += 3;  // a mean to take off
    }
    const Matrix before = x;
    LayerNormRelu(*backend_, weight.row(0), kEps, x.view());
    for (int t = 0; t < rows; ++t) {
      double mean = 0, variance = 0;
      for (int c = 0; c < cols; ++c) mean += before.at(t, c) / double{1.0 * cols};
      for (int c = 0; c < cols; ++c) variance += std::pow(before.at(t, c) - mean, 2) / cols;
      for (int c = 0; c < cols; ++c) {
        const double normed = (before.at(t, c) - mean) / std::sqrt(variance + kEps);
        ASSERT_NEAR(x.at(t, c), std::max(0.0, normed * weight.at(0, c)), 1e-4) << cols;
      }
    }
    EXPECT_TRUE(x.PaddingIsUntouched());
  }
}

struct BandCase {
  int rows, heads, dim, before, ahead;
};

TEST_P(TowerOpsTest, BandedAttentionAgreesWithTheFormulaInDouble) {
  for (const BandCase& b :
       {BandCase{1, 1, 4, 12, 0}, BandCase{40, 3, 16, 12, 0}, BandCase{33, 2, 13, 5, 3},
        BandCase{300, 8, 128, 12, 0}, BandCase{50, 1, 20, 30, 25}, BandCase{9, 2, 7, 1, 0}}) {
    const int cols = b.heads * b.dim;
    Matrix q = Matrix::Random(b.rows, cols, 1), k = Matrix::Random(b.rows, cols, 2);
    Matrix v = Matrix::Random(b.rows, cols, 3), out(b.rows, cols);
    const Matrix scale = Matrix::Random(1, b.dim, 4),
                 distances = Matrix::Random(b.before + b.ahead, cols, 5);
    std::vector<float> dense;
    for (int r = 0; r < b.before + b.ahead; ++r) {
      dense.insert(dense.end(), distances.row(r), distances.row(r) + cols);
    }
    Band band;
    band.heads = b.heads;
    band.keys_before = b.before;
    band.keys_ahead = b.ahead;
    band.key_scale = 1.5f;
    band.logit_cap = 4;
    band.query_scale = scale.row(0);
    band.distance_keys = dense.data();
    BandedAttention(*backend_, band, q.view(), k.view(), v.view(), out.view());
    for (int t = 0; t < b.rows; ++t) {
      for (int c = 0; c < cols; ++c) {
        const int head = c / b.dim * b.dim;
        double sum = 0, want = 0;
        for (int u = std::max(0, t - b.before + 1); u <= std::min(b.rows - 1, t + b.ahead); ++u) {
          double score = 0;
          for (int d = 0; d < b.dim; ++d) {
            score += double{q.at(t, head + d)} * scale.at(0, d) *
                     (1.5 * k.at(u, head + d) + distances.at(t - u + b.ahead, head + d));
          }
          const double weight = std::exp(4 * std::tanh(score / 4));
          sum += weight;
          want += weight * v.at(u, c);
        }
        ASSERT_NEAR(out.at(t, c), want / sum, 2e-5) << "row " << t << ", column " << c;
      }
    }
    EXPECT_TRUE(out.PaddingIsUntouched());
  }
}

FACET_INSTANTIATE_FOR_ALL_BACKENDS(TowerOpsTest);

}  // namespace
}  // namespace facet::ops
