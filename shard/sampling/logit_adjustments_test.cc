#include "shard/sampling/logit_adjustments.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::ElementsAre;

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> Adjusted(const SamplingParams& params, std::vector<float> row,
                            const TokenCounts& counts = TokenCounts(),
                            const std::vector<int32_t>& masked = {}) {
  EXPECT_TRUE(AdjustsLogits(params, masked));
  AdjustLogits(params, counts, masked, absl::MakeSpan(row));
  return row;
}

TEST(AdjustLogits, ChangesNothingByDefault) { EXPECT_FALSE(AdjustsLogits(SamplingParams(), {})); }

TEST(AdjustLogits, AddsBiases) {
  SamplingParams params;
  params.logit_bias = {{2, 1.5f}, {0, -100.0f}};
  EXPECT_THAT(Adjusted(params, {1, 2, 3}), ElementsAre(-99, 2, 4.5));
}

TEST(AdjustLogits, MasksWhateverTheBias) {
  SamplingParams params;
  params.logit_bias = {{0, 100.0f}, {1, 100.0f}};
  params.suppress_tokens = {0};
  EXPECT_THAT(Adjusted(params, {1, 2, 3}, TokenCounts(), {1}), ElementsAre(-kInf, -kInf, 3));
}

TEST(AdjustLogits, MasksWithoutAnyOtherSetting) {
  EXPECT_THAT(Adjusted(SamplingParams(), {1, 2}, TokenCounts(), {0}), ElementsAre(-kInf, 2));
}

TEST(AdjustLogits, RepetitionPenaltyCountsPromptAndGeneratedOnce) {
  SamplingParams params;
  params.repetition_penalty = 2;
  TokenCounts counts(std::vector<int32_t>{0, 1, 1});
  counts.AddGenerated(2);
  counts.AddGenerated(2);
  EXPECT_THAT(Adjusted(params, {4, -4, 8, 8, 0}, counts), ElementsAre(2, -8, 4, 8, 0));
}

TEST(AdjustLogits, FrequencyAndPresenceCountGeneratedOnly) {
  SamplingParams params;
  params.frequency_penalty = 0.5;
  params.presence_penalty = 0.25;
  TokenCounts counts(std::vector<int32_t>{0, 1});
  counts.AddGenerated(1);
  for (int i = 0; i < 3; ++i) counts.AddGenerated(2);
  EXPECT_THAT(Adjusted(params, {1, 1, 1, 1}, counts), ElementsAre(1, 0.25, -0.75, 1));
}

TEST(AdjustLogits, RepetitionComesBeforeTheSubtractions) {
  SamplingParams params;
  params.repetition_penalty = 2;
  params.presence_penalty = 1;
  TokenCounts counts;
  counts.AddGenerated(0);
  EXPECT_THAT(Adjusted(params, {4}, counts), ElementsAre(1));  // 4 / 2 - 1, not (4 - 1) / 2
}

TEST(AdjustLogits, PenaltiesSeeTheBiasedLogit) {
  SamplingParams params;
  params.logit_bias = {{0, 6.0f}};
  params.repetition_penalty = 2;
  EXPECT_THAT(Adjusted(params, {-2}, TokenCounts(std::vector<int32_t>{0})), ElementsAre(2));
}

TEST(AdjustLogits, IgnoresIdsOutsideTheRow) {
  SamplingParams params;
  params.logit_bias = {{2, 1.0f}, {-1, 1.0f}};
  params.suppress_tokens = {2, -1};
  params.repetition_penalty = 2;
  EXPECT_THAT(Adjusted(params, {1, 2}, TokenCounts(std::vector<int32_t>{2, -1}), {2, -1}),
              ElementsAre(1, 2));
}

TEST(AdjustLogits, NeverMakesANanOrAnInfinity) {
  SamplingParams params;
  params.repetition_penalty = 1e-300;
  params.presence_penalty = 2;
  params.suppress_tokens = {1};
  TokenCounts counts(std::vector<int32_t>{0, 1, 2, 3});
  counts.AddGenerated(1);
  for (float logit : Adjusted(params, {30, 30, -30, -kInf}, counts)) {
    EXPECT_FALSE(std::isnan(logit));
    EXPECT_LT(logit, kInf);
  }
}

}  // namespace
}  // namespace facet
