#include "model/tokenizer/merge_table.h"

#include <map>
#include <random>
#include <utility>

#include "gtest/gtest.h"

namespace facet {
namespace {

struct Merge {
  uint32_t rank;
  int32_t merged;
};

TEST(MergeTableTest, HoldsWhatAMapHolds) {
  std::mt19937 rng(1);
  std::map<std::pair<int, int>, Merge> map;
  MergeTable table(4000);
  for (uint32_t rank = 0; rank < 4000; ++rank) {
    const int left = rng() % 100, right = rng() % 100;  // so some pairs are set twice
    const auto merged = static_cast<int32_t>(rng() % 100000);
    map[{left, right}] = {rank, merged};
    table.Set(left, right, rank, merged);
  }
  for (int left = 0; left < 110; ++left) {
    for (int right = 0; right < 110; ++right) {
      const auto it = map.find({left, right});
      const uint32_t rank = table.FindRank(left, right);
      if (it == map.end()) {
        ASSERT_EQ(rank, MergeTable::kNoRank);
      } else {
        ASSERT_EQ(rank, it->second.rank);
        ASSERT_EQ(table.merged(rank), it->second.merged);
      }
    }
  }
}

TEST(MergeTableTest, TheLargestIdsAreToldApart) {
  constexpr auto kLast = static_cast<int32_t>(MergeTable::kMaxIds - 1);
  MergeTable table(3);
  table.Set(kLast, kLast, 0, 7);
  table.Set(kLast - 1, kLast, 1, 8);
  table.Set(kLast, kLast - 1, 2, 9);
  EXPECT_EQ(table.merged(table.FindRank(kLast, kLast)), 7);
  EXPECT_EQ(table.merged(table.FindRank(kLast - 1, kLast)), 8);
  EXPECT_EQ(table.merged(table.FindRank(kLast, kLast - 1)), 9);
  EXPECT_EQ(table.FindRank(kLast - 1, kLast - 1), MergeTable::kNoRank);
}

TEST(MergeTableTest, AnEmptyOneFindsNothing) {
  EXPECT_EQ(MergeTable(0).FindRank(0, 0), MergeTable::kNoRank);
}

}  // namespace
}  // namespace facet
