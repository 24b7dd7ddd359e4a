#include "shard/sampling/ranking.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<RankedToken> Sorted(absl::Span<const float> row) {
  std::vector<RankedToken> sorted;
  for (size_t i = 0; i < row.size(); ++i) sorted.push_back({row[i], static_cast<int32_t>(i)});
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

std::vector<int32_t> Ids(absl::Span<const RankedToken> tokens) {
  std::vector<int32_t> ids;
  for (const RankedToken& token : tokens) ids.push_back(token.id);
  return ids;
}

TEST(RankedToken, RanksByLogitThenById) {
  EXPECT_THAT(Ids(Sorted({1, 3, 2, 3})), ElementsAre(1, 3, 2, 0));
}

// Rows that are kind and unkind to a selection.
struct RowCase {
  std::string name;
  float (*logit)(int i, int size, std::mt19937& random);
};
const std::vector<RowCase> kRows = {
    {"random", [](int, int, std::mt19937& random) { return random() % 100000 / 1000.0f; }},
    {"few_values", [](int, int, std::mt19937& random) { return random() % 3 * 1.0f; }},
    {"all_equal", [](int, int, std::mt19937&) { return -2.5f; }},
    {"ascending", [](int i, int, std::mt19937&) { return i * 1.0f; }},
    {"descending", [](int i, int, std::mt19937&) { return -i * 1.0f; }},
    {"organ_pipe", [](int i, int size, std::mt19937&) { return std::min(i, size - i) * 1.0f; }},
    {"half_masked",
     [](int i, int, std::mt19937& random) { return i % 2 ? -kInf : random() % 1000 * 1.0f; }},
};
class RankingTest : public ::testing::TestWithParam<RowCase> {
 protected:
  std::vector<float> Row(int size) {
    std::mt19937 random(size);
    std::vector<float> row(size);
    for (int i = 0; i < size; ++i) row[i] = GetParam().logit(i, size, random);
    return row;
  }
};

TEST_P(RankingTest, SelectsTheHeadOfTheSortedRow) {
  BestSelector selector;
  for (int size : {1, 7, 16, 17, 100, 5000, 262144}) {
    const std::vector<float> row = Row(size);
    std::vector<RankedToken> sorted = Sorted(row);
    while (!sorted.empty() && sorted.back().logit == -kInf) sorted.pop_back();
    for (int count : {1, 2, 20, 64, 1000, 100000, size, size + 5}) {
      const size_t kept = std::min<size_t>(count, sorted.size());
      std::vector<int32_t> want = Ids(absl::MakeSpan(sorted).first(kept));
      std::sort(want.begin(), want.end());
      ASSERT_EQ(Ids(selector.Select(row, count)), want) << size << " " << count;
    }
  }
}

TEST_P(RankingTest, FindsTheLastTokenOfAMass) {
  for (int size : {1, 2, 24, 25, 100, 3000, 100000}) {
    const std::vector<float> row = Row(size);
    // Weights in sixteenths add up exactly in any order, so the answer is exact too. They follow
    // the ranking as probabilities do.
    const std::vector<RankedToken> sorted = Sorted(row);
    std::vector<WeightedToken> tokens(size);
    double total = 0;
    for (int place = 0; place < size; ++place) {
      const float weight = (1 + (size - place) % 50 + (size - place) / 50) / 16.0f;
      tokens[sorted[place].id] = {sorted[place], weight};
      total += weight;
    }
    for (double share : {1e-9, 0.1, 0.5, 0.9, 0.99, 1.0}) {
      const double mass = share * total;
      double sum = 0;
      int place = 0;
      while ((sum += tokens[sorted[place].id].weight) < mass && place + 1 < size) ++place;
      std::vector<WeightedToken> shuffled = tokens;
      EXPECT_EQ(LastOfMass(absl::MakeSpan(shuffled), mass).id, sorted[place].id)
          << size << " " << share;
    }
    EXPECT_EQ(LastOfMass(absl::MakeSpan(tokens), 2 * total).id, sorted.back().id);
  }
}
INSTANTIATE_TEST_SUITE_P(Rows, RankingTest, ::testing::ValuesIn(kRows),
                         [](const auto& info) { return info.param.name; });

TEST(BestSelector, GivesNothingWhereAllIsMasked) {
  EXPECT_THAT(BestSelector().Select(std::vector<float>(50, -kInf), 5), IsEmpty());
}

}  // namespace
}  // namespace facet
