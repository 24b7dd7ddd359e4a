#include "shard/cache/page_demand.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace facet {
namespace {

KvLayout Layout(int page_tokens, int window) {
  KvLayout layout;
  layout.page_tokens = page_tokens;
  layout.sliding_window = window;
  return layout;
}

struct DemandCase {
  std::string name;
  KvLayout layout;
  int positions;
  int chunk_tokens;
  int global;
  int sliding;
};
class WorstCaseDemandTest : public ::testing::TestWithParam<DemandCase> {};

TEST_P(WorstCaseDemandTest, CountsPages) {
  const DemandCase& c = GetParam();
  const PageDemand demand = WorstCaseDemand(c.layout, c.positions, c.chunk_tokens);
  EXPECT_EQ(demand.global, c.global);
  EXPECT_EQ(demand.sliding, c.sliding);
}
INSTANTIATE_TEST_SUITE_P(Cases, WorstCaseDemandTest,
                         ::testing::ValuesIn(std::vector<DemandCase>{
                             {"one_token", Layout(16, 512), 1, 1, 1, 1},
                             {"shorter_than_the_window", Layout(16, 512), 500, 128, 32, 32},
                             {"decode_at_length", Layout(16, 512), 131072, 1, 8192, 33},
                             {"prefill_at_length", Layout(16, 512), 131072, 256, 8192, 49},
                             {"chunk_over_the_whole", Layout(16, 512), 1000, 4096, 63, 63},
                             {"one_token_pages", Layout(1, 4), 100, 3, 100, 6},
                             {"window_of_one", Layout(8, 1), 100, 1, 13, 1},
                             {"no_sliding_pool", {16, true, false, 0}, 100, 8, 7, 0},
                             {"no_global_pool", {16, false, true, 32}, 1000, 1, 0, 3},
                         }),
                         [](const auto& info) { return info.param.name; });

// The most pages over every start and every chunk, counted one by one.
int SlidingPagesByCounting(const KvLayout& layout, int positions, int chunk_tokens) {
  int most = 0;
  for (int start = 0; start < positions; ++start) {
    const int first_key = std::max(0, start - layout.sliding_window + 1);
    const int last_key = std::min(start + chunk_tokens, positions) - 1;
    most = std::max(most, last_key / layout.page_tokens - first_key / layout.page_tokens + 1);
  }
  return most;
}

TEST(WorstCaseDemand, IsNeverTooFewAndTightForLongSequences) {
  for (int page_tokens : {1, 2, 5, 16}) {
    for (int window : {1, 2, 7, 16, 33}) {
      for (int chunk : {1, 2, 9, 16, 40}) {
        const KvLayout layout = Layout(page_tokens, window);
        for (int positions : {1, 2, 15, 16, 17, 48, 49, 300}) {
          const int counted = SlidingPagesByCounting(layout, positions, chunk);
          const int demand = WorstCaseDemand(layout, positions, chunk).sliding;
          EXPECT_GE(demand, counted) << page_tokens << " " << window << " " << chunk;
          if (positions == 300) {
            EXPECT_EQ(demand, counted) << page_tokens << " " << window << " " << chunk;
          }
        }
      }
    }
  }
}

TEST(PageDemand, GivesBytesOfBothPools) {
  const PageDemand demand = WorstCaseDemand(Layout(16, 512), 32768, 1);
  // 26B-A4B: 20 KiB of global and 200 KiB of sliding KV for a token. The window costs a page more
  // than its 512 tokens; nothing else may grow with the length.
  EXPECT_EQ(demand.Bytes(16 * 20 * 1024, 16 * 200 * 1024),
            int64_t{32768} * 20 * 1024 + int64_t{512 + 16} * 200 * 1024);
}

TEST(PageDemand, FitsOnlyIfBothPoolsSuffice) {
  EXPECT_TRUE((PageDemand{3, 2}.FitsIn({3, 2})));
  EXPECT_FALSE((PageDemand{4, 2}.FitsIn({3, 9})));
  EXPECT_FALSE((PageDemand{3, 3}.FitsIn({9, 2})));
}

}  // namespace
}  // namespace facet
