#include "kernels/ops/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "gtest/gtest.h"
#include "kernels/testing/backends.h"
#include "kernels/testing/matrix.h"

namespace facet::ops {
namespace {

using testing::kFloatEpsilon;
using testing::Matrix;

struct AttentionCase {
  std::string name;
  int query_heads;
  int kv_heads;
  int head_dim;
  int window;
  int page_tokens;
  int length;  // of the sequence
  int first;   // first position asked for; all from there on are
};

// A cache whose every bit is set, so NaN wherever nothing was stored, with pages in any order.
class Cache {
 public:
  Cache(DType dtype, const AttentionCase& c, int spare_pages = 2) {
    const int slots = (c.length + c.page_tokens - 1) / c.page_tokens;
    const int pages = slots + spare_pages;
    const auto bytes =
        static_cast<size_t>(pages * c.kv_heads * c.page_tokens * KvRowBytes(dtype, c.head_dim));
    k_.assign(bytes, 0xff);
    v_.assign(bytes, 0xff);
    pages_ = {k_.data(), v_.data(), dtype, pages, c.kv_heads, c.page_tokens, c.head_dim};
    ids_.resize(static_cast<size_t>(pages));
    std::iota(ids_.begin(), ids_.end(), 0);
  }
  void Shuffle(uint32_t seed) { std::shuffle(ids_.begin(), ids_.end(), std::mt19937(seed)); }

  const KvPages& pages() const { return pages_; }
  std::vector<int32_t>& ids() { return ids_; }
  AttentionSequence Rows(int64_t first_row, int64_t rows, int64_t position) const {
    return {first_row, rows, position, ids_, {}};
  }

 private:
  std::vector<uint8_t> k_, v_;
  KvPages pages_;
  std::vector<int32_t> ids_;
};

// The inputs of a whole sequence.
struct Inputs {
  explicit Inputs(const AttentionCase& c)
      // Scores of deviation 3: some keys count much more than others, as in a model.
      : q(Matrix::Random(c.length, c.query_heads * c.head_dim, 1,
                         3 / std::sqrt(static_cast<float>(c.head_dim)))),
        k(Matrix::Random(c.length, c.kv_heads * c.head_dim, 2)),
        v(Matrix::Random(c.length, c.kv_heads * c.head_dim, 3)) {}
  Matrix q, k, v;
};

constexpr DType kKvTypes[] = {DType::kF32, DType::kBF16, DType::kInt8, DType::kF8E4M3};

// The bytes of one row of pages, by the rules of kv_pages.h.
std::vector<uint8_t> RowBytes(const float* x, int n, DType dtype) {
  std::vector<uint8_t> out(static_cast<size_t>(KvRowBytes(dtype, n)));
  float largest = 0;
  for (int i = 0; i < n; ++i) largest = std::max(largest, std::abs(x[i]));
  const float scale = largest / (dtype == DType::kInt8 ? 127.0f : 448.0f);
  for (int i = 0; i < n; ++i) {
    const float y = scale > 0 ? x[i] / scale : 0;
    const uint16_t half = FloatToBf16(x[i]);
    if (dtype == DType::kF32) std::memcpy(&out[4 * i], &x[i], 4);
    if (dtype == DType::kBF16) std::memcpy(&out[2 * i], &half, 2);
    if (dtype == DType::kInt8) out[i] = static_cast<uint8_t>(std::lrint(y));
    if (dtype == DType::kF8E4M3) out[i] = FloatToF8(y);
  }
  if (IsScaled(dtype)) std::memcpy(&out[n], &scale, 4);
  return out;
}

// What the stored heads of `x` stand for. With scales, within one rounding to float32.
Matrix Stored(const Matrix& x, int head_dim, DType dtype) {
  Matrix out(x.rows(), x.cols());
  for (int64_t t = 0; t < x.rows(); ++t) {
    std::vector<uint8_t> row;
    for (int64_t column = 0; column < x.cols(); ++column) {
      const auto dim = static_cast<int>(column % head_dim);
      if (dim == 0) row = RowBytes(x.row(t) + column, head_dim, dtype);
      float value = 0, scale = 1;
      uint16_t half;
      if (dtype == DType::kF32) std::memcpy(&value, &row[4 * dim], 4);
      if (dtype == DType::kBF16) {
        std::memcpy(&half, &row[2 * dim], 2);
        value = Bf16ToFloat(half);
      }
      if (dtype == DType::kInt8) value = static_cast<int8_t>(row[dim]);
      if (dtype == DType::kF8E4M3) value = F8ToFloat(row[dim]);
      if (IsScaled(dtype)) std::memcpy(&scale, &row[head_dim], 4);
      out.at(t, column) = value * scale;
    }
  }
  return out;
}

// One head of one row by the formula, in double; and how far float32 may be from it.
void ExpectHeadNear(const AttentionCase& c, const Matrix& q, const Matrix& k, const Matrix& v,
                    int position, int head, const float* got) {
  const int column = head / (c.query_heads / c.kv_heads) * c.head_dim;
  const int begin = c.window > 0 ? std::max(0, position - c.window + 1) : 0;
  std::vector<double> p;
  double largest = -std::numeric_limits<double>::infinity(), score_error = 0;
  for (int s = begin; s <= position; ++s) {
    double score = 0, magnitude = 0;
    for (int d = 0; d < c.head_dim; ++d) {
      const double product = double{q.at(position, head * c.head_dim + d)} * k.at(s, column + d);
      score += product;
      magnitude += std::abs(product);
    }
    p.push_back(score);
    largest = std::max(largest, score);
    score_error = std::max(score_error, (c.head_dim + 4) * kFloatEpsilon * magnitude);
  }
  double sum = 0;
  for (double& x : p) sum += x = std::exp(x - largest);
  // A weight is off by the errors of its score, of exp and of the sum of up to 256 weights a tile
  // and of the tiles; the products' sum adds as many roundings again.
  const double roundings = 2.0 * (256 + position / 256 + 16) * kFloatEpsilon;
  for (int d = 0; d < c.head_dim; ++d) {
    double want = 0, magnitude = 0;
    for (int s = begin; s <= position; ++s) {
      const double product = p[s - begin] / sum * v.at(s, column + d);
      want += product;
      magnitude += std::abs(product);
    }
    ASSERT_LE(std::abs(got[d] - want), (2 * score_error + roundings) * magnitude + 1e-30)
        << "position " << position << ", head " << head << ", dim " << d;
  }
}

class PagedAttentionTest : public testing::BackendTest {
 protected:
  // The rows `first`.. of the sequence, after all of its keys were stored.
  Matrix AttendTo(const AttentionCase& c, Inputs& in, Cache& cache, int first, int rows) {
    Matrix out(rows, in.q.cols());
    const AttentionSequence sequence = cache.Rows(0, rows, first);
    PagedAttention(*backend_, in.q.view().Rows(first, rows), cache.pages(), {&sequence, 1},
                   c.window, out.view());
    return out;
  }
  void StoreAll(Inputs& in, Cache& cache) {
    const AttentionSequence all = cache.Rows(0, in.k.rows(), 0);
    StoreKv(*backend_, in.k.view(), in.v.view(), {&all, 1}, cache.pages());
  }
};

const AttentionCase kCases[] = {
    {"one_key", 2, 1, 16, 0, 16, 1, 0},
    {"tiny_odd_head", 3, 1, 7, 0, 5, 20, 0},
    {"head_of_16", 4, 2, 16, 0, 16, 40, 0},
    {"head_of_20", 4, 4, 20, 9, 16, 40, 0},
    {"head_of_24_window_1", 2, 2, 24, 1, 8, 30, 0},
    {"head_of_64_eight_per_kv_head", 8, 1, 64, 0, 16, 70, 0},
    {"head_of_88", 2, 1, 88, 0, 16, 33, 20},
    {"window_255", 2, 1, 32, 255, 16, 600, 520},
    {"window_256", 2, 1, 32, 256, 16, 600, 500},
    {"window_257", 2, 1, 32, 257, 16, 600, 505},
    {"tile_edges", 2, 2, 32, 0, 1, 520, 500},
    {"e2b_sliding", 8, 1, 256, 512, 16, 700, 690},
    {"e2b_global", 8, 1, 512, 0, 32, 530, 523},
    {"many_heads_per_kv_head", 20, 1, 32, 0, 256, 300, 290},
    {"wide_head", 1, 1, 600, 0, 16, 40, 30},
};

TEST_P(PagedAttentionTest, AgreesWithSoftmaxInDouble) {
  for (const AttentionCase& c : kCases) {
    for (DType dtype : kKvTypes) {
      SCOPED_TRACE(c.name + " " + Name(dtype));
      Inputs in(c);
      const Matrix k = Stored(in.k, c.head_dim, dtype), v = Stored(in.v, c.head_dim, dtype);
      Cache cache(dtype, c);
      cache.Shuffle(4);
      StoreAll(in, cache);
      const Matrix out = AttendTo(c, in, cache, c.first, c.length - c.first);
      ASSERT_TRUE(out.PaddingIsUntouched());
      for (int position = c.first; position < c.length; position += 1 + (c.length - c.first) / 12) {
        for (int head = 0; head < c.query_heads; ++head) {
          ASSERT_NO_FATAL_FAILURE(ExpectHeadNear(c, in.q, k, v, position, head,
                                                 out.row(position - c.first) + head * c.head_dim));
        }
      }
    }
  }
}

const AttentionCase kChunked = {"chunked", 4, 2, 32, 0, 16, 600, 0};
const AttentionCase kChunkedWindow = {"chunked_window", 6, 1, 40, 100, 16, 600, 0};

// Prefill in chunks, each storing its keys before it attends, with pages in another order and
// another sequence in the batch: every row must have the same bits as when it is asked for alone.
TEST_P(PagedAttentionTest, GivesARowTheSameResultInEveryChunkAndBatch) {
  if (IsReference() && GetParam().threads > 1) GTEST_SKIP() << "slow, and the same code";
  for (const AttentionCase& c : {kChunked, kChunkedWindow}) {
    for (DType dtype : kKvTypes) {
      Inputs in(c);
      Cache clean(dtype, c);
      StoreAll(in, clean);
      Matrix alone(c.length, in.q.cols());
      for (int t = 0; t < c.length; ++t) {
        const AttentionSequence row = clean.Rows(t, 1, t);
        PagedAttention(*backend_, in.q.view(), clean.pages(), {&row, 1}, c.window, alone.view());
      }
      for (int chunk : {1, 3, 16, 250, 600}) {
        SCOPED_TRACE(c.name + " " + Name(dtype) + " chunk " + std::to_string(chunk));
        Cache cold(dtype, c);  // NaN beyond what has been stored so far
        cold.Shuffle(static_cast<uint32_t>(chunk));
        Matrix out(c.length, in.q.cols());
        for (int t = 0; t < c.length; t += chunk) {
          const int rows = std::min(chunk, c.length - t);
          const AttentionSequence own = cold.Rows(t, rows, t);
          StoreKv(*backend_, in.k.view(), in.v.view(), {&own, 1}, cold.pages());
          PagedAttention(*backend_, in.q.view(), cold.pages(), {&own, 1}, c.window, out.view());
        }
        ASSERT_NO_FATAL_FAILURE(ExpectEqual(out, alone));
      }
      // All rows twice over in one call, as many sequences of different lengths.
      std::vector<AttentionSequence> batch;
      for (int t = 0; t < c.length; t += 37) {
        batch.push_back(clean.Rows(t, std::min(37, c.length - t), t));
      }
      std::reverse(batch.begin(), batch.end());
      Matrix out(c.length, in.q.cols());
      PagedAttention(*backend_, in.q.view(), clean.pages(), batch, c.window, out.view());
      ASSERT_NO_FATAL_FAILURE(ExpectEqual(out, alone));
    }
  }
}

TEST_P(PagedAttentionTest, NeverLooksAtPagesBehindTheWindow) {
  const AttentionCase c = {"given_back", 2, 1, 32, 20, 16, 400, 0};
  Inputs in(c);
  Cache cache(DType::kBF16, c);
  StoreAll(in, cache);
  const Matrix want = AttendTo(c, in, cache, 390, 10);
  // Row 390 sees the keys from 371 on, in slot 23.
  std::fill(cache.ids().begin(), cache.ids().begin() + 23, -1);
  ExpectEqual(AttendTo(c, in, cache, 390, 10), want);
}

// A row that sees up to key e - 1 is, but for its window, the row e - 1 with its query.
TEST_P(PagedAttentionTest, RowsMaySeeKeysBehindTheirOwn) {
  const AttentionCase c = {"blocks", 4, 2, 24, 0, 16, 640, 0};
  Inputs in(c);
  Cache cache(DType::kF32, c);
  StoreAll(in, cache);
  // Text, an image of 300, text, an image of 20 up to the end.
  std::vector<int32_t> visible_end;
  for (int t = 0; t < c.length; ++t) {
    visible_end.push_back(t >= 100 && t < 400 ? 400 : t >= 620 ? 640 : t + 1);
  }
  AttentionSequence all = cache.Rows(0, c.length, 0);
  all.visible_end = visible_end;
  Matrix out(c.length, in.q.cols());
  PagedAttention(*backend_, in.q.view(), cache.pages(), {&all, 1}, /*window=*/0, out.view());
  for (int t = 0; t < c.length; ++t) {
    Matrix want(1, in.q.cols());
    const AttentionSequence last = cache.Rows(0, 1, visible_end[static_cast<size_t>(t)] - 1);
    PagedAttention(*backend_, in.q.view().Rows(t, 1), cache.pages(), {&last, 1}, 0, want.view());
    for (int64_t col = 0; col < out.cols(); ++col) {
      ASSERT_EQ(out.at(t, col), want.at(0, col)) << "row " << t << ", column " << col;
    }
  }
}

TEST_P(PagedAttentionTest, ABlockReachesAheadButNotBehindTheWindow) {
  const AttentionCase c = {"window", 1, 1, 16, 50, 16, 300, 0};
  Inputs in(c);
  Cache cache(DType::kF32, c);
  StoreAll(in, cache);
  const std::vector<int32_t> visible_end(100, 300);  // rows 200..299 are one block
  AttentionSequence block = cache.Rows(0, 100, 200);
  block.visible_end = visible_end;
  Matrix out(100, in.q.cols());
  PagedAttention(*backend_, in.q.view().Rows(200, 100), cache.pages(), {&block, 1}, 50, out.view());
  for (int t = 0; t < 100; ++t) {
    // The same keys, 151 + t .. 299, as those of row 299 with a window of 149 - t.
    Matrix want(1, in.q.cols());
    const AttentionSequence last = cache.Rows(0, 1, 299);
    PagedAttention(*backend_, in.q.view().Rows(200 + t, 1), cache.pages(), {&last, 1}, 149 - t,
                   want.view());
    for (int64_t col = 0; col < out.cols(); ++col) {
      ASSERT_EQ(out.at(t, col), want.at(0, col)) << "row " << t << ", column " << col;
    }
  }
}

TEST_P(PagedAttentionTest, KeepsLargeScoresFinite) {
  const AttentionCase c = {"large", 1, 1, 16, 0, 16, 300, 0};
  Inputs in(c);
  for (int t = 0; t < c.length; ++t) {
    for (int d = 0; d < c.head_dim; ++d) {
      in.q.at(t, d) *= 300;  // scores of some thousand: exp of one alone overflows
    }
  }
  Cache cache(DType::kF32, c);
  StoreAll(in, cache);
  const Matrix out = AttendTo(c, in, cache, 0, c.length);
  for (int t = 0; t < c.length; ++t) {
    for (int d = 0; d < c.head_dim; ++d) EXPECT_LE(std::abs(out.at(t, d)), 6.0f) << t;
  }
}

TEST_P(PagedAttentionTest, DoesNothingForNoRows) {
  const AttentionCase c = {"empty", 2, 1, 16, 0, 16, 20, 0};
  Inputs in(c);
  Cache cache(DType::kF32, c);
  Matrix out(20, in.q.cols());
  PagedAttention(*backend_, in.q.view(), cache.pages(), {}, 0, out.view());
  const AttentionSequence none = cache.Rows(3, 0, 5);
  PagedAttention(*backend_, in.q.view(), cache.pages(), {&none, 1}, 0, out.view());
  EXPECT_TRUE(std::isnan(out.at(3, 0)));
}

// Byte by byte: all levels round alike.
TEST_P(PagedAttentionTest, StoresEachRowWhereItsPositionLies) {
  const AttentionCase c = {"store", 2, 2, 20, 0, 8, 50, 0};
  for (DType dtype : kKvTypes) {
    SCOPED_TRACE(Name(dtype));
    Inputs in(c);
    for (int dim = 0; dim < 20; ++dim) in.k.at(20, dim) = 0;       // a scale of 0
    for (int dim = 0; dim < 20; ++dim) in.v.at(21, dim) *= 1e-4f;  // and one beside larger rows
    Cache cache(dtype, c);
    cache.Shuffle(9);
    // Rows 10..39 of the tensors are the positions 7..36.
    const AttentionSequence some = cache.Rows(10, 30, 7);
    StoreKv(*backend_, in.k.view(), in.v.view(), {&some, 1}, cache.pages());
    const int64_t bytes = cache.pages().row_bytes();
    const std::vector<uint8_t> untouched(static_cast<size_t>(bytes), 0xff);
    for (int position = 0; position < 48; ++position) {
      for (int head = 0; head < 2; ++head) {
        const int64_t row = (cache.ids()[position / 8] * 2 + head) * 8 + position % 8;
        const bool stored = position >= 7 && position < 37;
        for (const auto& [x, data] :
             {std::pair(&in.k, cache.pages().k), {&in.v, cache.pages().v}}) {
          const auto* begin = static_cast<const uint8_t*>(data) + row * bytes;
          const std::vector<uint8_t> got(begin, begin + bytes);
          ASSERT_EQ(got, stored ? RowBytes(x->row(position + 3) + head * 20, 20, dtype) : untouched)
              << "position " << position << ", head " << head;
        }
      }
    }
  }
}

// The scalar rules of base/dtype.h hold for every level, over all magnitudes that a row can mix.
TEST_P(PagedAttentionTest, QuantisesAsTheScalarRulesSay) {
  std::mt19937 random(11);
  for (DType dtype : {DType::kInt8, DType::kF8E4M3}) {
    for (int head_dim : {1, 7, 16, 31, 256}) {
      const AttentionCase c = {"rows", 1, 1, head_dim, 0, 4, 64, 0};
      Inputs in(c);
      std::uniform_real_distribution<float> exponent(-14, 2);
      for (int t = 0; t < c.length; ++t) {
        for (int d = 0; d < head_dim; ++d) in.k.at(t, d) *= std::exp2(exponent(random));
      }
      Cache cache(dtype, c);
      StoreAll(in, cache);
      for (int t = 0; t < c.length; ++t) {
        const auto* begin =
            static_cast<const uint8_t*>(cache.pages().k) + t * cache.pages().row_bytes();
        ASSERT_EQ(std::vector<uint8_t>(begin, begin + cache.pages().row_bytes()),
                  RowBytes(in.k.row(t), head_dim, dtype))
            << Name(dtype) << " of " << head_dim << ", row " << t;
      }
    }
  }
}

TEST_P(PagedAttentionTest, ANumberThatIsNoneShowsInEveryType) {
  for (DType dtype : kKvTypes) {
    for (float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      const AttentionCase c = {"nan", 1, 1, 24, 0, 8, 20, 0};
      Inputs in(c);
      in.v.at(5, 17) = bad;
      Cache cache(dtype, c);
      StoreAll(in, cache);
      const Matrix out = AttendTo(c, in, cache, 5, 10);
      for (int row = 0; row < 10; ++row)
        EXPECT_FALSE(std::isfinite(out.at(row, 17))) << Name(dtype);
    }
  }
}

TEST_P(PagedAttentionTest, ACopiedPageHoldsTheSameAndNoOtherIsTouched) {
  const AttentionCase c = {"copy", 2, 2, 20, 0, 8, 50, 0};
  for (DType dtype : kKvTypes) {
    Inputs in(c);
    Cache one(dtype, c), two(dtype, c), before_one(dtype, c);
    for (Cache* cache : {&one, &two, &before_one}) StoreAll(in, *cache);
    const KvPages layers[] = {one.pages(), two.pages()};
    CopyKvPage(*backend_, layers, 3, 1);
    const int64_t bytes = one.pages().page_bytes();
    ASSERT_EQ(bytes, 2 * 8 * KvRowBytes(dtype, 20));
    for (const KvPages& pages : layers) {
      for (int page = 0; page < pages.num_pages; ++page) {
        const int like = page == 1 ? 3 : page;
        const auto at = [&](void* data, int p) { return static_cast<uint8_t*>(data) + p * bytes; };
        EXPECT_EQ(std::memcmp(at(pages.k, page), at(before_one.pages().k, like), bytes), 0) << page;
        EXPECT_EQ(std::memcmp(at(pages.v, page), at(before_one.pages().v, like), bytes), 0) << page;
      }
    }
  }
}

FACET_INSTANTIATE_FOR_ALL_BACKENDS(PagedAttentionTest);

TEST(PagedAttentionLevelsTest, ThreadsAndAvx512DoNotChangeABit) {
  const AttentionCase c = {"levels", 8, 2, 64, 0, 16, 900, 0};
  Inputs in(c);
  for (DType dtype : {DType::kBF16, DType::kInt8, DType::kF8E4M3}) {
    Cache cache(dtype, c);
    std::vector<Matrix> results;
    for (CpuLevel level : SupportedCpuLevels()) {
      if (level == CpuLevel::kReference) continue;
      for (int threads : {1, 4}) {
        auto backend = testing::MakeBackend(level, threads);
        const AttentionSequence all = cache.Rows(0, c.length, 0);
        StoreKv(*backend, in.k.view(), in.v.view(), {&all, 1}, cache.pages());
        Matrix out(c.length, in.q.cols());
        PagedAttention(*backend, in.q.view(), cache.pages(), {&all, 1}, 0, out.view());
        results.push_back(out);
      }
    }
    for (size_t i = 1; i < results.size(); ++i) ExpectEqual(results[0], results[i]);
  }
}

TEST(PagedAttentionDeathTest, EndsTheProcessOnAPageThatIsNotThere) {
  const AttentionCase c = {"missing", 1, 1, 16, 0, 16, 20, 0};
  auto backend = testing::MakeBackend(CpuLevel::kReference, 1);
  Inputs in(c);
  Cache cache(DType::kF32, c);
  Matrix out(1, 16);
  AttentionSequence row = cache.Rows(0, 1, 19);
  cache.ids()[1] = -1;
  EXPECT_DEATH(
      PagedAttention(*backend, in.q.view().Rows(0, 1), cache.pages(), {&row, 1}, 0, out.view()),
      "position 16 has page -1");
  const KvPages pages = cache.pages();
  EXPECT_DEATH(CopyKvPage(*backend, {&pages, 1}, 0, 4), "page 0 to page 4 of 4");
  row.start_position = 100;
  EXPECT_DEATH(
      PagedAttention(*backend, in.q.view().Rows(0, 1), cache.pages(), {&row, 1}, 0, out.view()),
      "positions 100.1 in pages for 64");
}

}  // namespace
}  // namespace facet::ops
