#include "shard/sampling/row_math.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
const std::vector<int> kLengths = {1, 2, 15, 16, 17, 31, 33, 100, 262144};

std::vector<float> RandomRow(int size, int seed) {
  std::mt19937 random(seed);
  std::vector<float> row(size);
  for (float& x : row) x = static_cast<float>(random() % 60000) / 1000.0f - 30.0f;
  return row;
}

TEST(MaxOfRow, FindsTheMaximumWhereverItStands) {
  for (int size : kLengths) {
    for (int place : {0, size / 2, size - 1}) {
      std::vector<float> row = RandomRow(size, size);
      row[place] = 31.0f;
      const RowMax max = MaxOfRow(row);
      EXPECT_TRUE(max.valid);
      EXPECT_EQ(max.max, 31.0f);
      EXPECT_EQ(FirstEqual(row, 31.0f), place);
    }
  }
}

TEST(MaxOfRow, RefusesNanAndInfinityWhereverTheyStand) {
  for (int size : kLengths) {
    for (int place : {0, size / 2, size - 1}) {
      for (float bad : {kNan, -kNan, kInf}) {
        std::vector<float> row = RandomRow(size, size);
        row[place] = bad;
        EXPECT_FALSE(MaxOfRow(row).valid) << size << " " << place << " " << bad;
      }
    }
  }
}

TEST(MaxOfRow, TakesMaskedTokens) {
  std::vector<float> row(40, -kInf);
  EXPECT_TRUE(MaxOfRow(row).valid);
  EXPECT_EQ(MaxOfRow(row).max, -kInf);
  row[39] = -1e30f;
  EXPECT_EQ(MaxOfRow(row).max, -1e30f);
  EXPECT_EQ(MaxOfRow({}).max, -kInf);
}

TEST(FirstEqual, TakesTheLowerOfEqualOnesAndSaysWhenThereIsNone) {
  const std::vector<float> row = {1, 3, 3, 2};
  EXPECT_EQ(FirstEqual(row, 3), 1);
  EXPECT_EQ(FirstEqual(row, 4), -1);
}

TEST(NextBlockAbove, FindsTheBlockWhereverTheElementStands) {
  for (int size : {1, 15, 16, 17, 48, 100}) {
    for (int place = 0; place < size; ++place) {
      std::vector<float> row(size, 2.0f);
      row[place] = 2.5f;
      const size_t block = NextBlockAbove(row, 0, 2.0f);
      EXPECT_LE(block, place);
      EXPECT_TRUE(block + kRowBlock > static_cast<size_t>(place));
    }
    const std::vector<float> row(size, 2.0f);
    EXPECT_EQ(NextBlockAbove(row, 0, 2.0f), size / kRowBlock * kRowBlock);  // the rest
    EXPECT_EQ(NextBlockAbove(row, size, 1.0f), size);
  }
}

TEST(ExpWeights, IsNearTheRealFunction) {
  for (float inverse_temperature : {0.01f, 0.5f, 1.0f, 3.0f, 100.0f}) {
    for (int size : kLengths) {
      const std::vector<float> row = RandomRow(size, size);
      const float max = MaxOfRow(row).max;
      std::vector<float> weights(size, kNan);
      ExpWeights(row, max, inverse_temperature, weights.data());
      for (int i = 0; i < size; ++i) {
        const double exponent = (double{row[i]} - max) * inverse_temperature;
        if (exponent < -84.9) {
          EXPECT_LE(weights[i], 1e-36f);
          EXPECT_GE(weights[i], 0.0f);
          continue;
        }
        const double want = std::exp(exponent);
        ASSERT_LE(std::abs(weights[i] - want), want * 0x1p-22 * (1 - exponent)) << exponent;
      }
    }
  }
}

TEST(ExpWeights, IsExactlyOneAtTheMaximum) {
  const std::vector<float> row(20, -17.3f);
  std::vector<float> weights(20);
  ExpWeights(row, -17.3f, 123.0f, weights.data());
  EXPECT_THAT(weights, ::testing::Each(1.0f));
}

TEST(ExpWeights, IsZeroForMaskedTokensAndWhereTheExponentOverflows) {
  const std::vector<float> row = {0, -kInf, -60, -1};
  std::vector<float> weights(4);
  ExpWeights(row, 0, std::numeric_limits<float>::max(), weights.data());
  EXPECT_THAT(weights, ::testing::ElementsAre(1, 0, 0, 0));
}

TEST(SumOfRow, AddsEveryElementOnce) {
  for (int size : kLengths) {
    std::vector<float> row(size);
    for (int i = 0; i < size; ++i) row[i] = i;
    EXPECT_EQ(SumOfRow(row), double{0.5} * size * (size - 1)) << size;
  }
  EXPECT_EQ(SumOfRow({}), 0);
}

}  // namespace
}  // namespace facet
