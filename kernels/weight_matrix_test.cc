#include "kernels/weight_matrix.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/testing/backends.h"
#include "kernels/testing/weights.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::PackOrDie;
using testing::StatusIs;
using testing::StoredWeights;

class WeightMatrixTest : public testing::BackendTest {};

// The element (n, k) by the layout that weight_matrix.h describes.
float PackedAt(const WeightMatrix& w, int64_t n, int64_t k) {
  const int64_t panel = n / 16, row = n % 16;
  if (w.format() == WeightFormat::kF32) {
    return static_cast<const float*>(w.data())[(panel * w.in() + k) * 16 + row];
  }
  const int64_t pairs = (w.in() + 1) / 2;
  return Bf16ToFloat(
      static_cast<const uint16_t*>(w.data())[((panel * pairs + k / 2) * 16 + row) * 2 + k % 2]);
}

float Stored(float value, WeightFormat format) {
  return format == WeightFormat::kF32 ? value : Bf16ToFloat(FloatToBf16(value));
}

constexpr WeightFormat kFormats[] = {WeightFormat::kF32, WeightFormat::kBF16,
                                     WeightFormat::kBF16Dot};

TEST_P(WeightMatrixTest, HoldsEveryElementAndZerosElsewhere) {
  for (WeightFormat format : kFormats) {
    for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (auto [rows, cols] : {std::pair{1, 1},
                                {16, 16},
                                {15, 17},
                                {17, 15},
                                {40, 1},
                                {33, 100},
                                {100, 33},
                                {5, 31}}) {
        const StoredWeights stored(dtype, rows, cols, 1);
        const WeightMatrix w = PackOrDie(*backend_, {stored.block()}, format);
        ASSERT_EQ(w.out(), rows);
        ASSERT_EQ(w.in(), cols);
        ASSERT_EQ(w.format(), format);
        ASSERT_EQ(w.bytes(), WeightMatrix::PackedBytes(rows, cols, format));
        const bool odd = format != WeightFormat::kF32 && cols % 2 != 0;
        for (int64_t n = 0; n < (rows + 15) / 16 * 16; ++n) {
          for (int64_t k = 0; k < cols + odd; ++k) {
            const bool inside = n < rows && k < cols;
            const float want = inside ? Stored(static_cast<float>(stored.at(n, k)), format) : 0;
            ASSERT_EQ(PackedAt(w, n, k), want)
                << Name(dtype) << " " << rows << "x" << cols << " at " << n << ", " << k;
          }
        }
      }
    }
  }
}

TEST_P(WeightMatrixTest, StacksBlocksOfAnyTypeAcrossPanels) {
  const StoredWeights a(DType::kBF16, 5, 21, 1), b(DType::kF32, 30, 21, 2),
      c(DType::kF16, 9, 21, 3);
  const WeightBlock none = {nullptr, DType::kBF16, 0, 21, 21};
  for (WeightFormat format : kFormats) {
    const WeightMatrix w = PackOrDie(*backend_, {a.block(), none, b.block(), c.block()}, format);
    ASSERT_EQ(w.out(), 44);
    for (int64_t n = 0; n < 44; ++n) {
      for (int64_t k = 0; k < 21; ++k) {
        const double value = n < 5 ? a.at(n, k) : n < 35 ? b.at(n - 5, k) : c.at(n - 35, k);
        ASSERT_EQ(PackedAt(w, n, k), Stored(static_cast<float>(value), format)) << n << ", " << k;
      }
    }
  }
}

TEST_P(WeightMatrixTest, RoundsFloatsToNearestEvenAndKeepsNanAndInfinity) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {1.0f,       0x1.01p0f,       0x1.03p0f,   0x1.010002p0f,
                                     -0x1.01p0f, 0x1.fffffep127f, inf,         -inf,
                                     NAN,        0x1p-149f,       0x1.8p-134f, -0.0f,
                                     0x1.fep0f,  0x1.ffp0f,       3.14159274f, -2.71828175f};
  const WeightBlock block = {reinterpret_cast<const uint8_t*>(values.data()), DType::kF32, 1,
                             static_cast<int64_t>(values.size()),
                             static_cast<int64_t>(values.size())};
  const WeightMatrix w = PackOrDie(*backend_, {block}, WeightFormat::kBF16);
  for (size_t k = 0; k < values.size(); ++k) {
    const float want = Bf16ToFloat(FloatToBf16(values[k]));
    const float got = PackedAt(w, 0, static_cast<int64_t>(k));
    if (std::isnan(values[k])) {
      EXPECT_TRUE(std::isnan(got));
    } else {
      EXPECT_EQ(got, want) << values[k];
      EXPECT_EQ(std::signbit(got), std::signbit(want)) << values[k];
    }
  }
}

FACET_INSTANTIATE_FOR_ALL_BACKENDS(WeightMatrixTest);

struct RefusedCase {
  std::string name;
  std::vector<WeightBlock> blocks;
  std::string message;
};
class WeightMatrixRefusalTest : public ::testing::TestWithParam<RefusedCase> {};

TEST_P(WeightMatrixRefusalTest, SaysWhatIsWrong) {
  auto backend = testing::MakeBackend(CpuLevel::kReference, 1);
  EXPECT_THAT(WeightMatrix::Pack(*backend, GetParam().blocks, WeightFormat::kBF16),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}

constexpr uint8_t kBytes[256] = {};
INSTANTIATE_TEST_SUITE_P(
    Blocks, WeightMatrixRefusalTest,
    ::testing::ValuesIn(std::vector<RefusedCase>{
        {"no_blocks", {}, "without rows"},
        {"no_rows", {{kBytes, DType::kF32, 0, 4, 4}}, "without rows"},
        {"unequal_widths",
         {{kBytes, DType::kF32, 1, 4, 4}, {kBytes, DType::kF32, 1, 5, 5}},
         "unequal widths: 5 and 4"},
        {"negative_rows", {{kBytes, DType::kF32, -1, 4, 4}}, "-1 x 4"},
        {"no_columns", {{kBytes, DType::kF32, 1, 0, 4}}, "1 x 0"},
        {"stride_less_than_width", {{kBytes, DType::kF32, 1, 4, 3}}, "stride 3"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(WeightMatrixMemoryTest, ReportsWhenTheMatrixDoesNotFit) {
  auto backend = testing::MakeBackend(CpuLevel::kReference, 1);
  // More rows than memory; only their number is looked at before the allocation.
  const WeightBlock huge = {kBytes, DType::kBF16, int64_t{1} << 30, int64_t{1} << 16,
                            int64_t{1} << 16};
  EXPECT_THAT(WeightMatrix::Pack(*backend, {huge}, WeightFormat::kBF16),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("140737488355328 bytes")));
}

}  // namespace
}  // namespace facet
