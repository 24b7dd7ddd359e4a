#include "kernels/ops/matmul.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "base/dtype.h"
#include "gtest/gtest.h"
#include "kernels/testing/backends.h"
#include "kernels/testing/matrix.h"
#include "kernels/testing/weights.h"

namespace facet::ops {
namespace {

using testing::kBf16Epsilon;
using testing::kFloatEpsilon;
using testing::Matrix;
using testing::PackOrDie;
using testing::StoredWeights;

constexpr WeightFormat kFormats[] = {WeightFormat::kF32, WeightFormat::kBF16,
                                     WeightFormat::kBF16Dot};

class MatMulTest : public testing::BackendTest {
 protected:
  // Whether activations are rounded to bfloat16.
  bool Rounds(WeightFormat format) const {
    return format == WeightFormat::kBF16Dot && GetParam().level == CpuLevel::kAvx512Bf16;
  }

  void ExpectNearDoubleSums(const Matrix& x, const StoredWeights& w, WeightFormat format,
                            const Matrix& got) {
    const int64_t in = x.cols();
    // A chain of at most 512 products and the sum of its blocks; one more for the rounding of a
    // float32 weight to bfloat16, where the test's own value is not rounded.
    const double chain = static_cast<double>(std::min<int64_t>(in, 512) + in / 512 + 2);
    for (int64_t t = 0; t < got.rows(); ++t) {
      for (int64_t n = 0; n < got.cols(); ++n) {
        double want = 0, magnitude = 0;
        for (int64_t k = 0; k < in; ++k) {
          const double weight = format == WeightFormat::kF32
                                    ? w.at(n, k)
                                    : Bf16ToFloat(FloatToBf16(static_cast<float>(w.at(n, k))));
          want += x.at(t, k) * weight;
          magnitude += std::abs(x.at(t, k) * weight);
        }
        const double relative = chain * kFloatEpsilon + (Rounds(format) ? kBf16Epsilon : 0);
        ASSERT_LE(std::abs(got.at(t, n) - want), relative * magnitude)
            << "token " << t << ", output " << n << " of " << got.cols() << ", in " << in;
      }
    }
  }
};

TEST_P(MatMulTest, AgreesWithDoubleSumsAtAwkwardSizes) {
  const std::tuple<int, int, int> kShapes[] = {
      {1, 1, 1},    {1, 16, 2},   {2, 15, 7},    {3, 17, 16},  {4, 31, 31},    {5, 33, 15},
      {6, 64, 64},  {7, 100, 17}, {8, 16, 511},  {9, 50, 512}, {12, 65, 513},  {13, 7, 1025},
      {24, 80, 97}, {31, 48, 33}, {70, 130, 40}, {1, 300, 40}, {25, 300, 1030}};
  for (WeightFormat format : kFormats) {
    for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (auto [tokens, out, in] : kShapes) {
        SCOPED_TRACE(std::string(Name(dtype)) + " tokens " + std::to_string(tokens) + " out " +
                     std::to_string(out) + " in " + std::to_string(in));
        Matrix x = Matrix::Random(tokens, in, 1);
        const StoredWeights w(dtype, out, in, 2);
        const WeightMatrix packed = PackOrDie(*backend_, {w.block()}, format);
        Matrix y(tokens, out);
        MatMul(*backend_, x.view(), packed, y.view());
        ExpectNearDoubleSums(x, w, format, y);
        ASSERT_TRUE(y.PaddingIsUntouched());
      }
    }
  }
}

// The promise that results do not depend on the batch: bit for bit, at every batch size up to 40.
TEST_P(MatMulTest, GivesARowTheSameResultInEveryBatch) {
  if (IsReference() && GetParam().threads > 1) GTEST_SKIP() << "slow, and the same code";
  constexpr int kTokens = 40, kOut = 90;
  for (WeightFormat format : kFormats) {
    for (int in : {1, 37, 512, 513, 1200}) {
      Matrix x = Matrix::Random(kTokens, in, 3);
      const StoredWeights w(DType::kBF16, kOut, in, 4);
      const WeightMatrix packed = PackOrDie(*backend_, {w.block()}, format);
      Matrix alone(kTokens, kOut);
      for (int t = 0; t < kTokens; ++t) {
        MatMul(*backend_, x.view().Rows(t, 1), packed, alone.view().Rows(t, 1));
      }
      for (int tokens = 1; tokens <= kTokens; ++tokens) {
        Matrix batch(tokens, kOut);
        const int first = kTokens - tokens;  // so that a row's place in the batch changes too
        MatMul(*backend_, x.view().Rows(first, tokens), packed, batch.view());
        for (int t = 0; t < tokens; ++t) {
          ASSERT_NO_FATAL_FAILURE(ExpectRowsEqual(batch, t, alone, first + t))
              << "batch of " << tokens << ", in " << in;
        }
      }
    }
  }
}

TEST_P(MatMulTest, KeepsOneRowsNanOutOfTheOthers) {
  Matrix x = Matrix::Random(9, 70, 5);
  const StoredWeights w(DType::kBF16, 40, 70, 6);
  for (WeightFormat format : kFormats) {
    const WeightMatrix packed = PackOrDie(*backend_, {w.block()}, format);
    Matrix clean(9, 40), dirty(9, 40);
    MatMul(*backend_, x.view(), packed, clean.view());
    Matrix bad = x;
    for (int k = 0; k < 70; ++k) bad.at(4, k) = k % 2 ? NAN : INFINITY;
    MatMul(*backend_, bad.view(), packed, dirty.view());
    for (int t = 0; t < 9; ++t) {
      if (t == 4) {
        EXPECT_TRUE(std::isnan(dirty.at(t, 0)));
      } else {
        ExpectRowsEqual(clean, t, dirty, t);
      }
    }
  }
}

TEST_P(MatMulTest, ReadsAndWritesRangesOfColumns) {
  Matrix wide = Matrix::Random(7, 100, 7), result(7, 90);
  const StoredWeights w(DType::kBF16, 33, 40, 8);
  const WeightMatrix packed = PackOrDie(*backend_, {w.block()}, WeightFormat::kBF16);
  MatMul(*backend_, wide.view().Columns(21, 40), packed, result.view().Columns(50, 33));
  Matrix narrow(7, 40), want(7, 33);
  for (int t = 0; t < 7; ++t) {
    for (int k = 0; k < 40; ++k) narrow.at(t, k) = wide.at(t, 21 + k);
  }
  MatMul(*backend_, narrow.view(), packed, want.view());
  for (int t = 0; t < 7; ++t) {
    for (int n = 0; n < 33; ++n) ASSERT_EQ(result.at(t, 50 + n), want.at(t, n));
    EXPECT_TRUE(std::isnan(result.at(t, 49)) && std::isnan(result.at(t, 83)));
  }
}

TEST_P(MatMulTest, DoesNothingForNoTokens) {
  const StoredWeights w(DType::kBF16, 33, 40, 9);
  const WeightMatrix packed = PackOrDie(*backend_, {w.block()}, WeightFormat::kBF16);
  MatMul(*backend_, {nullptr, DType::kF32, 0, 40, 40}, packed, {nullptr, DType::kF32, 0, 33, 33});
}

FACET_INSTANTIATE_FOR_ALL_BACKENDS(MatMulTest);

Matrix MultiplyAt(CpuLevel level, int threads, WeightFormat format, int tokens) {
  auto backend = testing::MakeBackend(level, threads);
  Matrix x = Matrix::Random(tokens, 1100, 10), y(tokens, 200);
  const StoredWeights w(DType::kBF16, 200, 1100, 11);
  const WeightMatrix packed = PackOrDie(*backend, {w.block()}, format);
  MatMul(*backend, x.view(), packed, y.view());
  return y;
}

TEST(MatMulLevelsTest, ThreadsDoNotChangeABit) {
  for (CpuLevel level : SupportedCpuLevels()) {
    for (int tokens : {1, 30}) {
      ExpectEqual(MultiplyAt(level, 1, WeightFormat::kBF16Dot, tokens),
                  MultiplyAt(level, 5, WeightFormat::kBF16Dot, tokens));
    }
  }
}

TEST(MatMulLevelsTest, Avx512AgreesWithAvx2BitForBit) {
  if (!testing::ThisCpuRuns(CpuLevel::kAvx512)) GTEST_SKIP() << "no AVX-512 here";
  for (WeightFormat format : {WeightFormat::kF32, WeightFormat::kBF16}) {
    for (int tokens : {1, 2, 5, 12, 30}) {
      ExpectEqual(MultiplyAt(CpuLevel::kAvx2, 2, format, tokens),
                  MultiplyAt(CpuLevel::kAvx512, 2, format, tokens));
    }
  }
}

TEST(MatMulDeathTest, EndsTheProcessOnAWrongShape) {
  auto backend = testing::MakeBackend(CpuLevel::kReference, 1);
  Matrix x(2, 8), y(2, 5), narrow(2, 4);
  const StoredWeights w(DType::kF32, 5, 8, 12);
  const WeightMatrix packed = PackOrDie(*backend, {w.block()}, WeightFormat::kF32);
  EXPECT_DEATH(MatMul(*backend, narrow.view(), packed, y.view()),
               "MatMul x is .2, 4., want .2, 8.");
  EXPECT_DEATH(MatMul(*backend, x.view(), packed, narrow.view()), "MatMul out is");
}

}  // namespace
}  // namespace facet::ops
