#include "base/dtype.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace facet {
namespace {

TEST(DTypeTest, EveryBf16SurvivesTheRoundTripThroughFloat) {
  for (uint32_t x = 0; x < 65536; ++x) {
    const float wide = Bf16ToFloat(static_cast<uint16_t>(x));
    if (std::isnan(wide)) continue;
    EXPECT_EQ(FloatToBf16(wide), x);
  }
}

TEST(DTypeTest, RoundsHalfwayCasesToEven) {
  EXPECT_EQ(FloatToBf16(1.0f + 0x1p-8f), 0x3f80);            // halfway, stays at even 1.0
  EXPECT_EQ(FloatToBf16(1.0f + 0x1p-7f + 0x1p-8f), 0x3f82);  // halfway, goes up to even
  EXPECT_EQ(FloatToBf16(std::numeric_limits<float>::max()), 0x7f80);
}

TEST(DTypeTest, NanStaysNan) {
  EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(DTypeTest, WidensHalfPrecision) {
  EXPECT_EQ(F16ToFloat(0x3c00), 1.0f);
  EXPECT_EQ(F16ToFloat(0xc000), -2.0f);
  EXPECT_EQ(F16ToFloat(0x0001), 0x1p-24f);
  EXPECT_EQ(F16ToFloat(0x83ff), -1023 * 0x1p-24f);
  EXPECT_EQ(F16ToFloat(0x7bff), 65504.0f);
  EXPECT_TRUE(std::isinf(F16ToFloat(0x7c00)));
  EXPECT_TRUE(std::isnan(F16ToFloat(0x7e00)));
}

TEST(DTypeTest, EveryF8SurvivesTheRoundTripThroughFloat) {
  for (int x = 0; x < 256; ++x) {
    const float wide = F8ToFloat(static_cast<uint8_t>(x));
    if ((x & 0x7f) == 0x7f) {
      EXPECT_TRUE(std::isnan(wide)) << x;
      EXPECT_EQ(FloatToF8(wide) & 0x7f, 0x7f);
    } else {
      EXPECT_EQ(FloatToF8(wide), x);
    }
  }
  EXPECT_EQ(F8ToFloat(0x7e), 448.0f);
  EXPECT_EQ(F8ToFloat(0x38), 1.0f);
  EXPECT_EQ(F8ToFloat(0x01), 0x1p-9f);
  EXPECT_EQ(F8ToFloat(0x88), -0x1p-6f);
}

// Neighbours, what lies halfway between them and a little to either side of that.
TEST(DTypeTest, F8RoundsToTheNearestAndHalfwayToEven) {
  for (int x = 0; x < 0x7e; ++x) {
    const float low = F8ToFloat(static_cast<uint8_t>(x)), high = F8ToFloat(x + 1);
    const float middle = (low + high) / 2;
    EXPECT_EQ(FloatToF8(middle), x % 2 == 0 ? x : x + 1) << middle;
    EXPECT_EQ(FloatToF8(std::nextafter(middle, low)), x);
    EXPECT_EQ(FloatToF8(std::nextafter(middle, high)), x + 1);
    EXPECT_EQ(FloatToF8(-std::nextafter(middle, high)), 0x80 | (x + 1));
  }
  EXPECT_EQ(FloatToF8(449.0f), 0x7e);
  EXPECT_EQ(FloatToF8(-std::numeric_limits<float>::infinity()), 0xfe);
}

}  // namespace
}  // namespace facet
