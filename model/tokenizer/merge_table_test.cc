#include "model/tokenizer/merge_table.h"

#include <map>
#include <random>
#include <utility>

#include "gtest/gtest.h"

namespace facet {
namespace {

TEST(MergeTableTest, HoldsWhatAMapHolds) {
  std::mt19937 rng(1);
  std::map<std::pair<int, int>, MergeTable::Merge> map;
  MergeTable table(4000);
  for (uint32_t rank = 0; rank < 4000; ++rank) {
    const int left = rng() % 100, right = rng() % 100;  // so some pairs are set twice
    const MergeTable::Merge merge = {rank, static_cast<int32_t>(rng() % 100000)};
    map[{left, right}] = merge;
    table.Set(left, right, merge);
  }
  for (int left = 0; left < 110; ++left) {
    for (int right = 0; right < 110; ++right) {
      const auto it = map.find({left, right});
      const MergeTable::Merge found = table.Find(left, right);
      if (it == map.end()) {
        ASSERT_EQ(found.rank, MergeTable::kNoRank);
      } else {
        ASSERT_EQ(found.rank, it->second.rank);
        ASSERT_EQ(found.merged, it->second.merged);
      }
    }
  }
}

TEST(MergeTableTest, AnEmptyOneFindsNothing) {
  EXPECT_EQ(MergeTable(0).Find(0, 0).rank, MergeTable::kNoRank);
}

}  // namespace
}  // namespace facet
