#include "shard/transformer/weight_blocks.h"

#include <cstring>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::ElementsAre;

// float32 values 0, 1, 2, ... one byte off alignment, as a checkpoint may have them.
class WeightBlocksTest : public ::testing::Test {
 protected:
  TensorInfo Counting(std::vector<int64_t> shape) {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    bytes_.resize(1 + count * sizeof(float));
    for (int64_t i = 0; i < count; ++i) {
      const auto value = static_cast<float>(i);
      std::memcpy(&bytes_[1 + i * sizeof(float)], &value, sizeof(value));
    }
    return {DType::kF32, std::move(shape), {bytes_.data() + 1, bytes_.size() - 1}};
  }

  static std::vector<float> Values(const WeightBlock& block) {
    std::vector<float> values;
    for (int64_t r = 0; r < block.rows; ++r) {
      for (int64_t c = 0; c < block.cols; ++c) {
        float value;
        std::memcpy(&value, block.data + (r * block.row_stride + c) * sizeof(float), sizeof(value));
        values.push_back(value);
      }
    }
    return values;
  }

  std::vector<uint8_t> bytes_;
};

TEST_F(WeightBlocksTest, RowsAndColumnsOfAMatrix) {
  const WeightBlock whole = WholeMatrix(Counting({4, 3}));
  EXPECT_EQ(whole.rows, 4);
  EXPECT_EQ(whole.cols, 3);
  EXPECT_THAT(Values(Rows(whole, {1, 2})), ElementsAre(3, 4, 5, 6, 7, 8));
  EXPECT_THAT(Values(Columns(whole, {2, 1})), ElementsAre(2, 5, 8, 11));
  EXPECT_THAT(Values(Columns(Rows(whole, {3, 1}), {0, 2})), ElementsAre(9, 10));
}

TEST_F(WeightBlocksTest, OneOfManyMatrices) {
  const TensorInfo tensor = Counting({3, 2, 2});
  EXPECT_THAT(Values(MatrixAt(tensor, 1)), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(Values(Columns(MatrixAt(tensor, 2), {1, 1})), ElementsAre(9, 11));
}

TEST_F(WeightBlocksTest, ReadFloatsWidensEveryType) {
  EXPECT_THAT(ReadFloats(Counting({3})), ElementsAre(0, 1, 2));
  const std::vector<uint8_t> bf16 = {0xc0, 0x3f, 0x00, 0xc0};  // 1.5, -2
  EXPECT_THAT(ReadFloats({DType::kBF16, {2}, bf16}), ElementsAre(1.5f, -2.0f));
  const std::vector<uint8_t> f16 = {0x00, 0x3e, 0x00, 0xc0};
  EXPECT_THAT(ReadFloats({DType::kF16, {2}, f16}), ElementsAre(1.5f, -2.0f));
}

TEST_F(WeightBlocksTest, RangesOutsideEndTheProcess) {
  const WeightBlock whole = WholeMatrix(Counting({4, 3}));
  EXPECT_DEATH(Rows(whole, {3, 2}), "of 4");
  EXPECT_DEATH(Columns(whole, {-1, 2}), "of 3");
}

}  // namespace
}  // namespace facet
