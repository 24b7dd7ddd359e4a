#include "shard/sampling/counter_rng.h"

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::ElementsAre;

// Known answers, published with the paper's own implementation.
TEST(Philox4x32, GivesTheKnownAnswers) {
  EXPECT_THAT(Philox4x32({0, 0, 0, 0}, {0, 0}),
              ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  EXPECT_THAT(
      Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
      ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  EXPECT_THAT(
      Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST(UniformAt, DependsOnAllBitsOfSeedAndPosition) {
  const double first = UniformAt(1, 1);
  EXPECT_EQ(UniformAt(1, 1), first);
  EXPECT_NE(UniformAt(2, 1), first);
  EXPECT_NE(UniformAt(1, 2), first);
  EXPECT_NE(UniformAt(1 + (uint64_t{1} << 32), 1), first);
  EXPECT_NE(UniformAt(1, 1 + (uint64_t{1} << 32)), first);
}

struct StreamCase {
  std::string name;
  uint64_t seed_step;
  uint64_t position_step;
};
class UniformStreamTest : public ::testing::TestWithParam<StreamCase> {};

// Neighbouring seeds at one position must be as independent as the positions of one seed.
TEST_P(UniformStreamTest, IsUniformAndUncorrelated) {
  constexpr int kDraws = 100000, kBins = 100;
  std::vector<int> bins(kBins, 0);
  double lagged = 0, previous = 0.5;
  for (int i = 0; i < kDraws; ++i) {
    const double u = UniformAt(i * GetParam().seed_step, i * GetParam().position_step);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    ++bins[static_cast<int>(u * kBins)];
    lagged += (u - 0.5) * (previous - 0.5);
    previous = u;
  }
  double chi_square = 0;
  for (int count : bins) chi_square += std::pow(count - kDraws / kBins, 2) / (kDraws / kBins);
  EXPECT_LE(chi_square, 167.0);  // 99 degrees of freedom: 1 in 50,000
  EXPECT_LE(std::abs(lagged / kDraws * 12) * std::sqrt(kDraws), 4.5);  // standard deviations
}
INSTANTIATE_TEST_SUITE_P(Streams, UniformStreamTest,
                         ::testing::ValuesIn(std::vector<StreamCase>{
                             {"positions_of_one_seed", 0, 1},
                             {"seeds_at_one_position", 1, 0},
                             {"both", 1, 1},
                         }),
                         [](const auto& info) { return info.param.name; });

TEST(SeedOfCompletion, IsTheRequestsOwnForTheFirstAndAnotherForEachOther) {
  std::set<uint64_t> seeds;
  for (uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{2}, ~uint64_t{0}}) {
    EXPECT_EQ(SeedOfCompletion(seed, 0), seed);
    for (int index = 0; index < 16; ++index) {
      EXPECT_TRUE(seeds.insert(SeedOfCompletion(seed, index)).second) << seed << ", " << index;
      EXPECT_EQ(SeedOfCompletion(seed, index), SeedOfCompletion(seed, index));
    }
  }
}

}  // namespace
}  // namespace facet
