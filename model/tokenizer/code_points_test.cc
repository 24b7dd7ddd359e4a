#include "model/tokenizer/code_points.h"

#include <random>
#include <set>
#include <utility>

#include "gtest/gtest.h"

namespace facet {
namespace {

TEST(CodePointTableTest, FindsWhatWasSetAndNothingElse) {
  CodePointTable table;
  const std::vector<uint32_t> set = {0,      'a',    0xFF,    0x100,   0x2581,
                                     0x65E5, 0xFFFF, 0x1F60A, 0x10FFFF};
  for (size_t i = 0; i < set.size(); ++i) table.Set(set[i], static_cast<int32_t>(i));
  int found = 0;
  for (uint32_t c = 0; c < 0x110000; ++c) found += table.Find(c) != CodePointTable::kNone;
  EXPECT_EQ(found, static_cast<int>(set.size()));
  for (size_t i = 0; i < set.size(); ++i) EXPECT_EQ(table.Find(set[i]), static_cast<int32_t>(i));
}

TEST(NeighbourSetTest, NeverForgetsAPairAndRarelyInventsOne) {
  std::mt19937 rng(2);
  const auto code_point = [&rng] { return rng() % 2 == 0 ? rng() % 128 : rng() % 0x110000; };
  NeighbourSet neighbours;
  std::set<std::pair<uint32_t, uint32_t>> added;
  for (int i = 0; i < 100000; ++i) {
    const std::pair<uint32_t, uint32_t> pair = {code_point(), code_point()};
    neighbours.Add(pair.first, pair.second);
    added.insert(pair);
  }
  for (const auto& pair : added) ASSERT_TRUE(neighbours.MayHold(pair.first, pair.second));
  int invented = 0;
  for (int i = 0; i < 100000; ++i) {
    const uint32_t left = 128 + rng() % 0x10000, right = code_point();
    invented += neighbours.MayHold(left, right) && added.count({left, right}) == 0;
  }
  EXPECT_LE(invented, 5000);
}

TEST(NeighbourSetTest, IsExactForAsciiAndTheSpaceMark) {
  NeighbourSet neighbours;
  neighbours.Add('>', 0x2581);
  neighbours.Add(0x2581, 'a');
  int held = 0;
  for (uint32_t left = 0; left < 128; ++left) {
    held += neighbours.MayHold(left, 0x2581) + neighbours.MayHold(0x2581, left);
  }
  EXPECT_EQ(held, 2);
}

}  // namespace
}  // namespace facet
