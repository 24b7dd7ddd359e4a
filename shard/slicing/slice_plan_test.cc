#include "shard/slicing/slice_plan.h"

#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shard/slicing/testing/released_configs.h"

namespace facet {
namespace {

using ::facet::testing::Dense12bConfig;
using ::facet::testing::Dense31bConfig;
using ::facet::testing::E2bConfig;
using ::facet::testing::E4bConfig;
using ::facet::testing::IsOk;
using ::facet::testing::Moe26bConfig;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;

// A global and a sliding layer of each shape, which the KV-shared layers repeat.
int FirstOf(const ModelConfig& config, AttentionKind kind) {
  int i = 0;
  while (config.layers[i].kind != kind) ++i;
  return i;
}

struct HeadsCase {
  std::string name;
  ModelConfig (*config)();
  int world_size;
  int query_heads;  // per rank
  int sliding_kv_heads;
  int global_kv_heads;
  int mlp_columns;  // of the last layer
};
class SlicePlanHeadsTest : public ::testing::TestWithParam<HeadsCase> {};

TEST_P(SlicePlanHeadsTest, EveryRankGetsItsHeads) {
  const HeadsCase& c = GetParam();
  const ModelConfig config = c.config();
  const int sliding = FirstOf(config, AttentionKind::kSliding);
  const int global = FirstOf(config, AttentionKind::kGlobal);
  for (int rank = 0; rank < c.world_size; ++rank) {
    auto plan = MakeSlicePlan(config, {c.world_size, rank, false});
    ASSERT_THAT(plan, IsOk());
    ASSERT_EQ(static_cast<int>(plan->layers.size()), config.num_layers);
    EXPECT_EQ(plan->layers[sliding].query_heads, (IndexRange{rank * c.query_heads, c.query_heads}));
    EXPECT_EQ(plan->layers[sliding].kv_heads.count, c.sliding_kv_heads);
    EXPECT_EQ(plan->layers[global].kv_heads.count, c.global_kv_heads);
    EXPECT_EQ(plan->layers.back().mlp_columns, (IndexRange{rank * c.mlp_columns, c.mlp_columns}));
  }
}

// Every query head of a rank reads a KV head of that rank: head h reads floor(h Hkv / Hq).
TEST_P(SlicePlanHeadsTest, TheKvHeadsOfARankAreThoseItsQueryHeadsRead) {
  const HeadsCase& c = GetParam();
  const ModelConfig config = c.config();
  for (int rank = 0; rank < c.world_size; ++rank) {
    auto plan = MakeSlicePlan(config, {c.world_size, rank, false});
    ASSERT_THAT(plan, IsOk());
    for (int i = 0; i < config.num_layers; ++i) {
      const LayerSlice& slice = plan->layers[i];
      const int64_t group = slice.query_heads.count / slice.kv_heads.count;
      for (int64_t h = 0; h < slice.query_heads.count; ++h) {
        const int64_t whole_model =
            (slice.query_heads.begin + h) * config.layers[i].num_kv_heads / config.num_query_heads;
        EXPECT_EQ(slice.kv_heads.begin + h / group, whole_model) << "layer " << i << " head " << h;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Released, SlicePlanHeadsTest,
                         ::testing::ValuesIn(std::vector<HeadsCase>{
                             {"e2b_tp1", E2bConfig, 1, 8, 1, 1, 12288},
                             {"e2b_tp2", E2bConfig, 2, 4, 1, 1, 6144},
                             {"e2b_tp4", E2bConfig, 4, 2, 1, 1, 3072},
                             {"e2b_tp8", E2bConfig, 8, 1, 1, 1, 1536},
                             {"e4b_tp1", E4bConfig, 1, 8, 2, 2, 10240},
                             {"e4b_tp2", E4bConfig, 2, 4, 1, 1, 5120},
                             {"e4b_tp4", E4bConfig, 4, 2, 1, 1, 2560},
                             {"e4b_tp8", E4bConfig, 8, 1, 1, 1, 1280},
                             {"dense12b_tp1", Dense12bConfig, 1, 16, 8, 1, 15360},
                             {"dense12b_tp2", Dense12bConfig, 2, 8, 4, 1, 7680},
                             {"dense12b_tp4", Dense12bConfig, 4, 4, 2, 1, 3840},
                             {"dense12b_tp8", Dense12bConfig, 8, 2, 1, 1, 1920},
                             {"moe26b_tp1", Moe26bConfig, 1, 16, 8, 2, 2112},
                             {"moe26b_tp2", Moe26bConfig, 2, 8, 4, 1, 1056},
                             {"moe26b_tp4", Moe26bConfig, 4, 4, 2, 1, 528},
                             {"moe26b_tp8", Moe26bConfig, 8, 2, 1, 1, 264},
                             {"dense31b_tp1", Dense31bConfig, 1, 32, 16, 4, 21504},
                             {"dense31b_tp2", Dense31bConfig, 2, 16, 8, 2, 10752},
                             {"dense31b_tp4", Dense31bConfig, 4, 8, 4, 1, 5376},
                             {"dense31b_tp8", Dense31bConfig, 8, 4, 2, 1, 2688},
                         }),
                         [](const auto& info) { return info.param.name; });

struct ExpertsCase {
  std::string name;
  int world_size;
  bool expert_parallel;
  int rank;
  IndexRange experts;
  IndexRange columns;
};
class SlicePlanExpertsTest : public ::testing::TestWithParam<ExpertsCase> {};

TEST_P(SlicePlanExpertsTest, WholeOrCut) {
  const ExpertsCase& c = GetParam();
  auto plan = MakeSlicePlan(Moe26bConfig(), {c.world_size, c.rank, c.expert_parallel});
  ASSERT_THAT(plan, IsOk());
  EXPECT_EQ(plan->experts, c.experts);
  EXPECT_EQ(plan->expert_columns, c.columns);
}

INSTANTIATE_TEST_SUITE_P(Moe26b, SlicePlanExpertsTest,
                         ::testing::ValuesIn(std::vector<ExpertsCase>{
                             {"one_rank", 1, false, 0, {0, 128}, {0, 704}},
                             {"cut_tp2_rank1", 2, false, 1, {0, 128}, {352, 352}},
                             {"cut_tp4_rank3", 4, false, 3, {0, 128}, {528, 176}},
                             {"cut_tp8_rank5", 8, false, 5, {0, 128}, {440, 88}},
                             {"whole_ep2_rank1", 2, true, 1, {64, 64}, {0, 704}},
                             {"whole_ep4_rank0", 4, true, 0, {0, 32}, {0, 704}},
                             {"whole_ep8_rank7", 8, true, 7, {112, 16}, {0, 704}},
                         }),
                         [](const auto& info) { return info.param.name; });

struct SplitCase {
  std::string name;
  int64_t size;
  int parts;
  std::vector<IndexRange> ranges;
};
class EvenSplitTest : public ::testing::TestWithParam<SplitCase> {};

TEST_P(EvenSplitTest, CoversEverythingOnce) {
  const SplitCase& c = GetParam();
  for (int rank = 0; rank < c.parts; ++rank) {
    EXPECT_EQ(EvenSplit(c.size, c.parts, rank), c.ranges[rank]) << "rank " << rank;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, EvenSplitTest,
    ::testing::ValuesIn(std::vector<SplitCase>{
        {"divisible", 512, 2, {{0, 256}, {256, 256}}},
        {"one_left_over", 509, 4, {{0, 128}, {128, 127}, {255, 127}, {382, 127}}},
        {"one_too_few", 511, 4, {{0, 128}, {128, 128}, {256, 128}, {384, 127}}},
        {"fewer_than_parts", 2, 3, {{0, 1}, {1, 1}, {2, 0}}},
    }),
    [](const auto& info) { return info.param.name; });

struct RefusalCase {
  std::string name;
  SliceOptions options;
  void (*change)(ModelConfig&);
  std::vector<std::string> in_message;
};
class SlicePlanRefusalTest : public ::testing::TestWithParam<RefusalCase> {};

TEST_P(SlicePlanRefusalTest, NamesTheNumbers) {
  const RefusalCase& c = GetParam();
  ModelConfig config = Moe26bConfig();
  c.change(config);
  const absl::Status status = MakeSlicePlan(config, c.options).status();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
  for (const std::string& text : c.in_message) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Moe26b, SlicePlanRefusalTest,
    ::testing::ValuesIn(std::vector<RefusalCase>{
        {"no_ranks", {0, 0, false}, [](ModelConfig&) {}, {"rank 0", "0 ranks"}},
        {"negative_rank", {2, -1, false}, [](ModelConfig&) {}, {"rank -1"}},
        {"rank_too_large", {2, 2, false}, [](ModelConfig&) {}, {"rank 2", "2 ranks"}},
        {"query_heads", {3, 0, false}, [](ModelConfig&) {}, {"query heads", "16", "3"}},
        {"kv_heads",
         {4, 0, false},
         [](ModelConfig& c) { c.layers[5].num_kv_heads = 3; },
         {"KV heads", "3", "layer 5", "4"}},
        {"mlp_width",
         {4, 0, false},
         [](ModelConfig& c) { c.layers[7].intermediate_size = 2110; },
         {"MLP", "2110", "layer 7", "4"}},
        {"expert_width",
         {4, 0, false},
         [](ModelConfig& c) { c.moe->intermediate_size = 702; },
         {"width of an expert", "702", "4"}},
        {"experts",
         {4, 0, true},
         [](ModelConfig& c) { c.moe->num_experts = 126; },
         {"experts", "126", "4"}},
        {"vocabulary",
         {4, 0, false},
         [](ModelConfig& c) { c.vocab_size = 3; },
         {"vocabulary", "3"}},
    }),
    [](const auto& info) { return info.param.name; });

TEST(SlicePlanTest, ExpertParallelDoesNotCareForTheWidthNorTensorParallelForTheNumber) {
  ModelConfig config = Moe26bConfig();
  config.moe->intermediate_size = 703;
  EXPECT_THAT(MakeSlicePlan(config, {4, 0, true}), IsOk());
  config.moe->intermediate_size = 704;
  config.moe->num_experts = 127;
  EXPECT_THAT(MakeSlicePlan(config, {4, 0, false}), IsOk());
}

TEST(SlicePlanTest, ExpertParallelIsIgnoredByADenseModel) {
  auto plan = MakeSlicePlan(Dense31bConfig(), {4, 3, true});
  ASSERT_THAT(plan, IsOk());
  EXPECT_EQ(plan->experts.count, 0);
  EXPECT_EQ(plan->layers[0].mlp_columns, (IndexRange{3 * 5376, 5376}));
}

TEST(SlicePlanTest, TheRanksCoverTheVocabulary) {
  ModelConfig config = E2bConfig();
  config.vocab_size = 262147;
  int64_t next = 0;
  for (int rank = 0; rank < 8; ++rank) {
    auto plan = MakeSlicePlan(config, {8, rank, false});
    ASSERT_THAT(plan, IsOk());
    EXPECT_EQ(plan->vocabulary.begin, next);
    next = plan->vocabulary.end();
  }
  EXPECT_EQ(next, 262147);
}

}  // namespace
}  // namespace facet
