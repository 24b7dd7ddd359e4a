#include "shard/planner/kv_pool_sizes.h"

#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/kv_pages.h"
#include "shard/kv_tensors/kv_cache_tensors.h"
#include "shard/slicing/testing/released_configs.h"

namespace facet {
namespace {

using ::facet::testing::Dense31bConfig;
using ::facet::testing::E2bConfig;
using ::facet::testing::IsOk;
using ::facet::testing::Moe26bConfig;
using ::facet::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kPageTokens = 16;
constexpr int64_t kMiB = int64_t{1} << 20;

SlicePlan Slice(const ModelConfig& config, int world_size) {
  return *MakeSlicePlan(config, {world_size, 0, false});
}

TEST(KvPoolSizesTest, PoolsForSequencesHoldThatMany) {
  // A window of 512 keys in steps of 256 tokens: positions [p - 511, p + 256) touch at most 49
  // pages of 16.
  auto pools = PoolsForSequences(E2bConfig(), kPageTokens, 3, 32768, 256);
  ASSERT_THAT(pools, IsOk());
  EXPECT_EQ(pools->global, 3 * 2048);
  EXPECT_EQ(pools->sliding, 3 * 49);
}

// What a long prompt keeps once it is computed: all of its positions in the global layers, and in
// each sliding layer the window with one more page at most, whatever the prompt's length.
TEST(KvPoolSizesTest, AfterALongPromptSlidingLayersKeepTheWindowAlone) {
  constexpr int kTokens = 32768;
  for (const auto& config : {E2bConfig(), Dense31bConfig(), Moe26bConfig()}) {
    const SlicePlan slice = Slice(config, 1);
    for (DType dtype : {DType::kF32, DType::kBF16, DType::kInt8, DType::kF8E4M3}) {
      // Steps of one token: those that follow the prompt.
      const PageDemand held = WorstCaseDemand(MakeKvLayout(config, kPageTokens), kTokens + 1, 1);
      const int64_t bytes =
          held.Bytes(KvBytesPerPage(config, slice, AttentionKind::kGlobal, kPageTokens, dtype),
                     KvBytesPerPage(config, slice, AttentionKind::kSliding, kPageTokens, dtype));
      int64_t most = 0;
      for (int i = 0; i < config.num_layers; ++i) {
        const LayerConfig& layer = config.layers[i];
        if (!layer.owns_kv) continue;
        const int64_t tokens = layer.kind == AttentionKind::kGlobal
                                   ? kTokens + kPageTokens
                                   : config.sliding_window + kPageTokens;
        most += 2 * tokens * slice.layers[i].kv_heads.count * KvRowBytes(dtype, layer.head_dim);
      }
      EXPECT_LE(bytes, most) << Name(dtype);
      EXPECT_GT(bytes, most - most / 20) << Name(dtype);
    }
  }
}

TEST(KvPoolSizesTest, ShortSequencesNeedNoWholeWindow) {
  auto pools = PoolsForSequences(E2bConfig(), kPageTokens, 8, 100, 256);
  ASSERT_THAT(pools, IsOk());
  EXPECT_EQ(pools->global, 8 * 7);
  EXPECT_EQ(pools->sliding, 8 * 7);
}

TEST(KvPoolSizesTest, NumbersOutOfRangeAreRefused) {
  EXPECT_THAT(PoolsForSequences(E2bConfig(), kPageTokens, 0, 100, 1),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("sequences is 0")));
  EXPECT_THAT(PoolsForSequences(E2bConfig(), kPageTokens, 1 << 20, 1 << 30, 1),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at most")));
  EXPECT_THAT(PoolsForBytes(E2bConfig(), Slice(E2bConfig(), 1), kPageTokens, DType::kBF16,
                            {100 * kMiB, 1024, 0, 256}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("typical_tokens is 0")));
}

struct BudgetCase {
  std::string name;
  ModelConfig (*config)();
  int world_size;
  KvBudget budget;
};
class KvBudgetTest : public ::testing::TestWithParam<BudgetCase> {};

TEST_P(KvBudgetTest, UsesTheBudgetAndHoldsTheLongestSequence) {
  const BudgetCase& c = GetParam();
  const ModelConfig config = c.config();
  const SlicePlan slice = Slice(config, c.world_size);
  auto pools = PoolsForBytes(config, slice, kPageTokens, DType::kBF16, c.budget);
  ASSERT_THAT(pools, IsOk());
  const int64_t global_page =
      KvBytesPerPage(config, slice, AttentionKind::kGlobal, kPageTokens, DType::kBF16);
  const int64_t sliding_page =
      KvBytesPerPage(config, slice, AttentionKind::kSliding, kPageTokens, DType::kBF16);
  const int64_t bytes = pools->Bytes(global_page, sliding_page);
  EXPECT_LE(bytes, c.budget.bytes);
  EXPECT_GT(bytes, c.budget.bytes - global_page - sliding_page);
  const KvLayout layout = MakeKvLayout(config, kPageTokens);
  const PageDemand longest =
      WorstCaseDemand(layout, c.budget.context_tokens, c.budget.chunk_tokens);
  EXPECT_TRUE(longest.FitsIn(*pools));
  // Unless the longest sequence alone asks for most of the budget, neither pool runs out much
  // before the other when sequences are as usual.
  if (pools->global <= longest.global + 1) return;
  const PageDemand typical =
      WorstCaseDemand(layout, c.budget.typical_tokens, c.budget.chunk_tokens);
  const double by_global = static_cast<double>(pools->global) / typical.global;
  const double by_sliding = static_cast<double>(pools->sliding) / typical.sliding;
  EXPECT_LE(by_global / by_sliding, 1.5);
  EXPECT_LE(by_sliding / by_global, 1.5);
}

INSTANTIATE_TEST_SUITE_P(
    Budgets, KvBudgetTest,
    ::testing::ValuesIn(std::vector<BudgetCase>{
        {"e2b_roomy", E2bConfig, 1, {2048 * kMiB, 32768, 2048, 512}},
        {"e2b_just_one_long_sequence", E2bConfig, 1, {205 * kMiB, 32768, 2048, 512}},
        {"e2b_long_typical", E2bConfig, 1, {4096 * kMiB, 131072, 32768, 512}},
        {"moe26b_tp4", Moe26bConfig, 4, {2048 * kMiB, 65536, 4096, 512}},
        {"dense31b_tp8", Dense31bConfig, 8, {8192 * kMiB, 262144, 8192, 1024}},
        {"dense31b_tp8_short", Dense31bConfig, 8, {8192 * kMiB, 32768, 8192, 1024}},
    }),
    [](const auto& info) { return info.param.name; });

TEST(KvPoolSizesTest, ABudgetWithoutRoomForOneSequenceIsRefused) {
  EXPECT_THAT(PoolsForBytes(E2bConfig(), Slice(E2bConfig(), 1), kPageTokens, DType::kBF16,
                            {100 * kMiB, 32768, 2048, 512}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("32768 tokens"), HasSubstr("MiB"), HasSubstr("100.0 MiB"))));
}

}  // namespace
}  // namespace facet
