#include "model/media/image_size.h"

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;

struct Case {
  ImageSize source;
  int budget;
  ImageSize resized;
  int soft_tokens;
};

class ResizedSizeTest : public ::testing::TestWithParam<Case> {};

TEST_P(ResizedSizeTest, IsThatOfTheReference) {
  const Case& c = GetParam();
  const auto size = ResizedSize(c.source, c.budget, PatchLayout());
  ASSERT_THAT(size, IsOk());
  EXPECT_EQ(size->height, c.resized.height);
  EXPECT_EQ(size->width, c.resized.width);
  EXPECT_EQ(SoftTokensOf(*size, PatchLayout()), c.soft_tokens);
}

// The reference processor's own results.
INSTANTIATE_TEST_SUITE_P(
    Images, ResizedSizeTest,
    ::testing::Values(
        Case{{1080, 1920}, 70, {288, 528}, 66}, Case{{1080, 1920}, 140, {384, 720}, 120},
        Case{{1080, 1920}, 280, {576, 1056}, 264}, Case{{1080, 1920}, 560, {816, 1488}, 527},
        Case{{1080, 1920}, 1120, {1200, 2112}, 1100}, Case{{480, 640}, 70, {336, 432}, 63},
        Case{{480, 640}, 140, {480, 624}, 130}, Case{{480, 640}, 280, {672, 912}, 266},
        Case{{480, 640}, 560, {960, 1296}, 540}, Case{{480, 640}, 1120, {1344, 1824}, 1064},
        Case{{20, 31}, 70, {288, 480}, 60}, Case{{20, 31}, 140, {432, 672}, 126},
        Case{{20, 31}, 280, {624, 960}, 260}, Case{{20, 31}, 560, {912, 1392}, 551},
        Case{{20, 31}, 1120, {1248, 1968}, 1066}, Case{{4, 900}, 70, {48, 3360}, 70},
        Case{{4, 900}, 140, {48, 6720}, 140}, Case{{4, 900}, 280, {48, 12000}, 250},
        Case{{4, 900}, 560, {48, 16992}, 354}, Case{{4, 900}, 1120, {96, 24048}, 1002},
        Case{{2000, 5}, 70, {3360, 48}, 70}, Case{{2000, 5}, 140, {6720, 48}, 140},
        Case{{2000, 5}, 280, {13440, 48}, 280}, Case{{2000, 5}, 560, {22704, 48}, 473},
        Case{{2000, 5}, 1120, {32112, 48}, 669}));

TEST(ImageSizeTest, EveryImageFitsItsBudgetAndGivesAToken) {
  std::mt19937 rng(3);
  std::uniform_real_distribution<> exponent(0, 4.3);
  for (int i = 0; i < 20000; ++i) {
    const ImageSize source = {static_cast<int>(std::pow(10, exponent(rng))),
                              static_cast<int>(std::pow(10, exponent(rng)))};
    for (const int budget : kImageBudgets) {
      const auto size = ResizedSize(source, budget, PatchLayout());
      ASSERT_THAT(size, IsOk());
      const int tokens = SoftTokensOf(*size, PatchLayout());
      ASSERT_GE(tokens, 1) << source.height << " x " << source.width;
      ASSERT_LE(tokens, budget) << source.height << " x " << source.width;
      ASSERT_EQ(size->height % 48, 0);
      ASSERT_EQ(size->width % 48, 0);
    }
  }
}

TEST(ImageSizeTest, OtherBudgetsAreRefusedWithThoseThereAre) {
  for (const int budget : kImageBudgets) EXPECT_THAT(CheckImageBudget(budget), IsOk());
  for (const int budget : {0, -1, 71, 281, 1121}) {
    EXPECT_THAT(CheckImageBudget(budget),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("70, 140, 280, 560, 1120")));
  }
}

TEST(ImageSizeTest, AnImageWithoutPixelsIsRefused) {
  EXPECT_THAT(ResizedSize({0, 5}, 70, PatchLayout()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("5 x 0")));
}

}  // namespace
}  // namespace facet
