#include "router/placement.h"

#include <vector>

#include "gtest/gtest.h"

namespace facet {
namespace {

using Candidates = std::vector<Placement::Candidate>;

TEST(PlacementTest, NobodyIsEligible) {
  Placement placement;
  EXPECT_EQ(placement.Pick({}), std::nullopt);
  EXPECT_EQ(placement.Pick(Candidates{{false, 0}, {false, 5}}), std::nullopt);
}

TEST(PlacementTest, TakesTheLeastLoadedEligibleGroup) {
  Placement placement;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(placement.Pick(Candidates{{true, 9}, {false, 0}, {true, 4}, {true, 5}}), 2u);
  }
}

TEST(PlacementTest, EqualGroupsShareEvenly) {
  Placement placement(12345);
  std::vector<int> counts(4);
  const Candidates candidates = {{true, 3}, {true, 3}, {true, 8}, {true, 3}};
  for (int i = 0; i < 900; ++i) ++counts[*placement.Pick(candidates)];
  EXPECT_EQ(counts, (std::vector<int>{300, 300, 0, 300}));
}

TEST(PlacementTest, FreshRoutersBeginAtDifferentGroups) {
  const Candidates candidates(3, {true, 0});
  EXPECT_EQ(Placement(0).Pick(candidates), 0u);
  EXPECT_EQ(Placement(1).Pick(candidates), 1u);
  EXPECT_EQ(Placement(5).Pick(candidates), 2u);
}

}  // namespace
}  // namespace facet
