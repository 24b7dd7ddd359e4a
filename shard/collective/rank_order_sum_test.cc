#include "shard/collective/rank_order_sum.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"

namespace facet {
namespace {

std::vector<float> Ramp(size_t count, float scale) {
  std::vector<float> out(count);
  for (size_t i = 0; i < count; ++i) out[i] = scale * std::sin(static_cast<float>(i) + scale);
  return out;
}

TEST(RankOrderSumTest, EqualsTheScalarSumForEveryLengthAndAlignment) {
  for (const size_t count : {0, 1, 3, 15, 16, 17, 1023, 1024, 1025, 5000}) {
    for (const size_t shift : {0, 1, 3}) {
      const std::vector<float> a = Ramp(count + shift, 1.0f);
      const std::vector<float> b = Ramp(count + shift, 1e7f);
      const std::vector<float> c = Ramp(count + shift, -1e7f);
      const std::vector<const float*> inputs = {a.data() + shift, b.data() + shift,
                                                c.data() + shift};
      std::vector<float> out(count + 1, -1.0f);
      RankOrderSum(inputs, count, out.data());
      for (size_t i = 0; i < count; ++i) {
        const float two = a[i + shift] + b[i + shift];
        ASSERT_EQ(out[i], two + c[i + shift]) << count << " " << shift << " " << i;
      }
      EXPECT_EQ(out[count], -1.0f) << "wrote past the end";
    }
  }
}

TEST(RankOrderSumTest, AddsInTheOrderOfTheRanks) {
  const float big = 1e8f, one = 1.0f, minus_big = -1e8f;
  float out = -1.0f;
  RankOrderSum({{&big, &one, &minus_big}}, 1, &out);
  EXPECT_EQ(out, 0.0f);  // 1 is lost in 1e8 + 1
  RankOrderSum({{&big, &minus_big, &one}}, 1, &out);
  EXPECT_EQ(out, 1.0f);
}

TEST(RankOrderSumTest, MayWriteOverAnInput) {
  std::vector<float> a = Ramp(2000, 1.0f);
  std::vector<float> b = Ramp(2000, 2.0f);
  const std::vector<float> a0 = a, b0 = b;
  RankOrderSum({{a.data(), b.data()}}, a.size(), b.data());
  for (size_t i = 0; i < a.size(); ++i) ASSERT_EQ(b[i], a0[i] + b0[i]);
}

TEST(RankOrderSumTest, GivesANotANumberTheSameBitsWhereverTheArraysLie) {
  uint32_t bits_a = 0x7fc00001, bits_b = 0xffc00002;  // both operands are NaN
  float a, b;
  std::memcpy(&a, &bits_a, sizeof(a));
  std::memcpy(&b, &bits_b, sizeof(b));
  std::vector<float> in_a(3000, a), in_b(3000, b), out(3001);
  uint32_t first = 0;
  for (const size_t shift : {0, 1}) {
    RankOrderSum({{in_a.data() + shift, in_b.data() + shift}}, 2999, out.data() + shift);
    for (size_t i = 0; i < 2999; ++i) {
      uint32_t bits;
      std::memcpy(&bits, &out[i + shift], sizeof(bits));
      if (first == 0) first = bits;
      ASSERT_EQ(bits, first) << i;
    }
  }
}

}  // namespace
}  // namespace facet
