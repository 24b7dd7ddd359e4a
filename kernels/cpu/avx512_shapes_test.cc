// The AVX-512 kernels' tile shapes, and the bfloat16 dot product in emulation, run on AVX2.

#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include "base/dtype.h"
#include "gtest/gtest.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/matmul.h"
#include "kernels/ops/attention.h"
#include "kernels/testing/backends.h"
#include "kernels/testing/matrix.h"
#include "kernels/testing/weights.h"

namespace facet {
namespace avx512_shapes {
extern const cpu::MatMulKernels kMatMulKernels;
extern const cpu::AttentionKernels kAttentionKernels;
}  // namespace avx512_shapes

namespace cpu {
namespace {

using testing::Matrix;
using testing::StoredWeights;

class Avx512ShapesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::ThisCpuRuns(CpuLevel::kAvx2)) GTEST_SKIP() << "no AVX2 here";
    backend_ = testing::MakeBackend(CpuLevel::kAvx2, 2);
  }

  Matrix Multiply(const MatMulKernels& kernels, Matrix& x, const WeightMatrix& w) {
    Matrix out(x.rows(), w.out());
    std::vector<const float*> rows;
    for (int64_t t = 0; t < x.rows(); ++t) rows.push_back(x.row(t));
    const MatMulJob job = {&w, rows.data(), x.rows(), out.view().f32(), out.stride()};
    RunMatMuls(*backend_, kernels, {&job, 1});
    return out;
  }

  std::unique_ptr<CpuBackend> backend_;
};

TEST_F(Avx512ShapesTest, MultiplyAsTheAvx2OnesDoBitForBit) {
  for (WeightFormat format : {WeightFormat::kF32, WeightFormat::kBF16}) {
    for (int in : {3, 100, 513, 1100}) {
      const StoredWeights stored(DType::kBF16, 150, in, 1);
      const WeightMatrix w = testing::PackOrDie(*backend_, {stored.block()}, format);
      for (int tokens = 1; tokens <= 26; ++tokens) {
        Matrix x = Matrix::Random(tokens, in, 2);
        ExpectEqual(Multiply(avx512_shapes::kMatMulKernels, x, w),
                    Multiply(*KernelsFor(CpuLevel::kAvx2).matmul, x, w));
      }
    }
  }
}

TEST_F(Avx512ShapesTest, DotProductsOfPairsAreExactForActivationsThatBf16Holds) {
  for (int in : {1, 2, 3, 100, 513, 1100}) {
    const StoredWeights stored(DType::kBF16, 50, in, 3);
    const WeightMatrix w = testing::PackOrDie(*backend_, {stored.block()}, WeightFormat::kBF16Dot);
    for (int tokens : {1, 2, 5, 12, 13, 70}) {
      Matrix x = Matrix::Random(tokens, in, 4);
      // Rounding them here or in the kernel must come to the same.
      Matrix rounded = x;
      for (int t = 0; t < tokens; ++t) {
        for (int k = 0; k < in; ++k) rounded.at(t, k) = Bf16ToFloat(FloatToBf16(x.at(t, k)));
      }
      const Matrix got = Multiply(avx512_shapes::kMatMulKernels, x, w);
      ExpectEqual(got, Multiply(avx512_shapes::kMatMulKernels, rounded, w));
      for (int t = 0; t < tokens; ++t) {
        for (int n = 0; n < 50; ++n) {
          double want = 0, magnitude = 0;
          for (int k = 0; k < in; ++k) {
            want += rounded.at(t, k) * stored.at(n, k);
            magnitude += std::abs(rounded.at(t, k) * stored.at(n, k));
          }
          const double chain = std::min(in, 512) + in / 512 + 1;
          ASSERT_LE(std::abs(got.at(t, n) - want), chain * testing::kFloatEpsilon * magnitude);
        }
      }
    }
  }
}

TEST_F(Avx512ShapesTest, DotProductsGiveARowTheSameResultInEveryBatch) {
  const StoredWeights stored(DType::kBF16, 90, 1100, 5);
  const WeightMatrix w = testing::PackOrDie(*backend_, {stored.block()}, WeightFormat::kBF16Dot);
  Matrix all = Matrix::Random(60, 1100, 6);
  const Matrix want = Multiply(avx512_shapes::kMatMulKernels, all, w);
  for (int tokens = 1; tokens <= 40; ++tokens) {
    Matrix x(tokens, 1100);
    for (int t = 0; t < tokens; ++t) {
      for (int k = 0; k < 1100; ++k) x.at(t, k) = all.at(60 - tokens + t, k);
    }
    const Matrix got = Multiply(avx512_shapes::kMatMulKernels, x, w);
    for (int t = 0; t < tokens; ++t) ExpectRowsEqual(got, t, want, 60 - tokens + t);
  }
}

TEST_F(Avx512ShapesTest, AttendAsTheAvx2OnesDoBitForBit) {
  constexpr int kHeadDim = 40, kKvHeads = 2, kHeads = 10, kLength = 300, kPageTokens = 16;
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kInt8, DType::kF8E4M3}) {
    Matrix q = Matrix::Random(kLength, kHeads * kHeadDim, 7, 0.5f);
    Matrix k = Matrix::Random(kLength, kKvHeads * kHeadDim, 8);
    Matrix v = Matrix::Random(kLength, kKvHeads * kHeadDim, 9);
    KvPages pages = {nullptr,  nullptr,     dtype,   (kLength + kPageTokens - 1) / kPageTokens,
                     kKvHeads, kPageTokens, kHeadDim};
    std::vector<uint8_t> k_data(pages.num_pages * pages.page_bytes()), v_data(k_data.size());
    pages.k = k_data.data();
    pages.v = v_data.data();
    std::vector<int32_t> ids(pages.num_pages);
    std::iota(ids.rbegin(), ids.rend(), 0);
    AttentionSequence sequence;
    sequence.num_rows = kLength;
    sequence.pages = ids;
    ops::StoreKv(*backend_, k.view(), v.view(), {&sequence, 1}, pages);
    Matrix got(kLength, q.cols()), want(kLength, q.cols());
    RunPagedAttention(*backend_, avx512_shapes::kAttentionKernels, q.view(), pages, {&sequence, 1},
                      100, got.view());
    RunPagedAttention(*backend_, *KernelsFor(CpuLevel::kAvx2).attention, q.view(), pages,
                      {&sequence, 1}, 100, want.view());
    ExpectEqual(got, want);
  }
}

}  // namespace
}  // namespace cpu
}  // namespace facet
