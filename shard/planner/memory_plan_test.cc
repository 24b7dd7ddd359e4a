#include "shard/planner/memory_plan.h"

#include <cmath>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/tensor_names.h"
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
using ::testing::AllOf;
using ::testing::HasSubstr;

MemoryPlan Plan(const ModelConfig& config, RankOptions options = {}) {
  auto plan = PlanMemory(config, options, DType::kBF16);
  EXPECT_THAT(plan, IsOk());
  return plan.ok() ? *plan : MemoryPlan();
}

RankOptions Rank(int rank, int world_size, bool expert_parallel = false) {
  RankOptions options;
  options.rank = rank;
  options.world_size = world_size;
  options.expert_parallel = expert_parallel;
  return options;
}

struct WeightsCase {
  std::string name;
  ModelConfig (*config)();
  // Billions of weights, to three places.
  double attention;
  double mlp;
  double experts;
  double per_layer_projections;
  double head;
  double per_layer_table;
  double text_gigabytes;  // all text tensors in bfloat16
};
class MemoryPlanWeightsTest : public ::testing::TestWithParam<WeightsCase> {};

TEST_P(MemoryPlanWeightsTest, MatchThePublishedShapes) {
  const WeightsCase& c = GetParam();
  const ModelConfig config = c.config();
  const MemoryPlan plan = Plan(config);
  const auto billions = [](int64_t bytes) { return std::round(bytes / 2e6) / 1e3; };
  EXPECT_DOUBLE_EQ(billions(plan.attention), c.attention);
  EXPECT_DOUBLE_EQ(billions(plan.mlp), c.mlp);
  // The routers are counted with the experts.
  const int64_t routers =
      config.moe ? int64_t{2} * config.num_layers * config.moe->num_experts * config.hidden_size
                 : 0;
  EXPECT_DOUBLE_EQ(billions(plan.experts - routers), c.experts);
  EXPECT_DOUBLE_EQ(billions(plan.per_layer_projections), c.per_layer_projections);
  EXPECT_DOUBLE_EQ(billions(plan.head), c.head);
  EXPECT_EQ(plan.mapped_token_table, plan.head);
  EXPECT_DOUBLE_EQ(billions(plan.mapped_per_layer_table), c.per_layer_table);
}

// In memory norms are float32, in the file bfloat16; the scalars of layers and experts are no
// norms.
TEST_P(MemoryPlanWeightsTest, LeaveNoTensorOut) {
  const WeightsCase& c = GetParam();
  const ModelConfig config = c.config();
  const MemoryPlan plan = Plan(config);
  const int64_t scalars =
      config.num_layers * (1 + (config.moe.has_value() ? config.moe->num_experts : 0));
  const int64_t bytes =
      plan.Weights() - plan.norms + plan.norms / 2 + 2 * scalars + plan.mapped_per_layer_table;
  EXPECT_EQ(bytes, 2 * TextParameterCount(config));
  EXPECT_NEAR(static_cast<double>(bytes) / 1e9, c.text_gigabytes, 0.005);
}

INSTANTIATE_TEST_SUITE_P(Released, MemoryPlanWeightsTest,
                         ::testing::ValuesIn(std::vector<WeightsCase>{
                             {"e2b", E2bConfig, 0.278, 1.557, 0, 0.041, 0.403, 2.349, 9.26},
                             {"e4b", E4bConfig, 0.587, 3.303, 0, 0.083, 0.671, 2.819, 14.93},
                             {"dense12b", Dense12bConfig, 2.406, 8.493, 0, 0, 1.007, 0, 23.81},
                             {"moe26b", Moe26bConfig, 1.110, 0.535, 22.838, 0, 0.738, 0, 50.47},
                             {"dense31b", Dense31bConfig, 8.478, 20.809, 0, 0, 1.409, 0, 61.39},
                         }),
                         [](const auto& info) { return info.param.name; });

TEST(MemoryPlanTest, RanksShareTheWeightsOut) {
  const MemoryPlan whole = Plan(Moe26bConfig());
  MemoryPlan sum;
  for (int rank = 0; rank < 2; ++rank) {
    const MemoryPlan part = Plan(Moe26bConfig(), Rank(rank, 2));
    sum.head += part.head;
    sum.attention += part.attention;
    sum.mlp += part.mlp;
    EXPECT_EQ(part.norms, whole.norms);  // whole on every rank
  }
  EXPECT_EQ(sum.head, whole.head);
  EXPECT_EQ(sum.attention, whole.attention);
  EXPECT_EQ(sum.mlp, whole.mlp);
}

TEST(MemoryPlanTest, ReplicatedKvHeadsCostWeights) {
  // Eight ranks, four global KV heads: each is there twice, in ten layers.
  const MemoryPlan whole = Plan(Dense31bConfig());
  const MemoryPlan part = Plan(Dense31bConfig(), Rank(0, 8));
  EXPECT_EQ(8 * part.attention - whole.attention, int64_t{10} * 4 * 512 * 5376 * 2);
}

TEST(MemoryPlanTest, WholeAndCutExpertsTakeTheSame) {
  const MemoryPlan cut = Plan(Moe26bConfig(), Rank(1, 4));
  const MemoryPlan whole = Plan(Moe26bConfig(), Rank(1, 4, /*expert_parallel=*/true));
  EXPECT_EQ(cut.experts, whole.experts);
}

TEST(MemoryPlanTest, Float32CheckpointsTakeTwiceAsMuchUnlessTheModeRounds) {
  RankOptions options;
  const MemoryPlan stored_bf16 = *PlanMemory(E2bConfig(), options, DType::kBF16);
  const MemoryPlan stored_f32 = *PlanMemory(E2bConfig(), options, DType::kF32);
  EXPECT_EQ(stored_f32.mlp, 2 * stored_bf16.mlp);
  EXPECT_EQ(stored_f32.mapped_token_table, 2 * stored_bf16.mapped_token_table);
  options.mode = ComputeMode::kBF16;
  EXPECT_EQ(PlanMemory(E2bConfig(), options, DType::kF32)->mlp, stored_bf16.mlp);
}

TEST(MemoryPlanTest, KvIsPagesTimesTheirSize) {
  RankOptions options;
  options.kv_dtype = DType::kBF16;
  options.page_tokens = 16;
  options.global_pages = 2048;  // 32768 tokens
  options.sliding_pages = 32;   // 512 tokens
  const MemoryPlan plan = Plan(E2bConfig(), options);
  EXPECT_EQ(plan.global_kv, int64_t{192} << 20);
  EXPECT_EQ(plan.sliding_kv, int64_t{6} << 20);
  EXPECT_EQ(plan.Kv(), int64_t{198} << 20);
}

TEST(MemoryPlanTest, ActivationsGrowWithTheStepAndTheRowsWithLogits) {
  RankOptions options;
  options.max_step_tokens = 512;
  options.max_logit_rows = 8;
  const int64_t small = Plan(E2bConfig(), options).activations;
  options.max_step_tokens = 1024;
  const int64_t longer = Plan(E2bConfig(), options).activations;
  options.max_step_tokens = 512;
  options.max_logit_rows = 16;
  const int64_t wider = Plan(E2bConfig(), options).activations;
  // A token needs at least the residual stream and the 24576 columns of a gate and up.
  EXPECT_GE(longer - small, int64_t{512} * (1536 + 24576) * 4);
  EXPECT_GE(wider - small, int64_t{8} * 262144 * 4);
}

TEST(MemoryPlanTest, TheTableNamesEveryPartThatTakesMemory) {
  RankOptions options = Rank(1, 2);
  options.global_pages = 100;
  options.sliding_pages = 100;
  const std::string table = FormatMemoryPlan(Plan(E2bConfig(), options));
  EXPECT_THAT(table,
              AllOf(HasSubstr("rank 1 of 2"), HasSubstr("head"), HasSubstr("384.0 MiB"),
                    HasSubstr("attention"), HasSubstr("MLP"), HasSubstr("per-layer projections"),
                    HasSubstr("KV pages, global"), HasSubstr("activations"),
                    HasSubstr("mapped: per-layer table"), HasSubstr("4.38 GiB")));
  EXPECT_THAT(table, ::testing::Not(HasSubstr("experts")));
}

TEST(MemoryPlanTest, WhatDoesNotFitIsRefusedWithTheNumbers) {
  MemoryPlan plan;
  plan.rank = 1;
  plan.world_size = 4;
  plan.mlp = int64_t{3} << 30;
  plan.global_kv = int64_t{1} << 29;
  plan.activations = int64_t{1} << 20;
  EXPECT_THAT(CheckFits(plan, plan.Total()), IsOk());
  EXPECT_THAT(CheckFits(plan, plan.Total() - 1),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("rank 1 of 4"), HasSubstr("weights 3.00 GiB"),
                             HasSubstr("KV pages 512.0 MiB"), HasSubstr("activations 1.00 MiB"),
                             HasSubstr("limit is 3.50 GiB"))));
}

TEST(MemoryPlanTest, AModelThatTheRanksCannotShareIsRefused) {
  EXPECT_THAT(PlanMemory(E2bConfig(), Rank(0, 3), DType::kBF16),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("query heads")));
}

struct FormatCase {
  int64_t bytes;
  std::string text;
};
class FormatBytesTest : public ::testing::TestWithParam<FormatCase> {};

TEST_P(FormatBytesTest, Formats) { EXPECT_EQ(FormatBytes(GetParam().bytes), GetParam().text); }

INSTANTIATE_TEST_SUITE_P(Sizes, FormatBytesTest,
                         ::testing::ValuesIn(std::vector<FormatCase>{
                             {0, "0 B"},
                             {1023, "1023 B"},
                             {1024, "1.00 KiB"},
                             {12 * 1024, "12.0 KiB"},
                             {int64_t{3} << 29, "1.50 GiB"},
                             {int64_t{5000} << 40, "5000.0 TiB"},
                         }));

}  // namespace
}  // namespace facet
