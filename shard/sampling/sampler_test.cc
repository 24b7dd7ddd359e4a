#include "shard/sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shard/sampling/counter_rng.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr int kVocab = 262144;

SamplingParams Greedy() {
  SamplingParams params;
  params.temperature = 0;
  return params;
}

SampledToken SampleOnce(const std::vector<float>& logits, const SamplingParams& params,
                        int64_t position = 0, const std::vector<int32_t>& masked = {}) {
  EXPECT_THAT(params.Validate(static_cast<int>(logits.size())), IsOk());
  auto sampled = Sampler().Sample(logits, params, TokenCounts(), masked, position);
  EXPECT_THAT(sampled, IsOk());
  return sampled.ok() ? *sampled : SampledToken{-1, 0, {}};
}

// Gaussian logits with the model's cap, more or less peaked.
std::vector<float> RandomLogits(int size, int seed, double spread) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, spread);
  std::vector<float> logits(size);
  for (float& x : logits) x = static_cast<float>(30 * std::tanh(normal(random) / 30));
  return logits;
}

// The definition, by a full sort in double.
class Reference {
 public:
  Reference(const std::vector<float>& logits, const SamplingParams& params) {
    std::vector<int> order(logits.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return logits[a] > logits[b]; });
    if (params.top_k > 0 && params.top_k < static_cast<int>(order.size())) {
      order.resize(params.top_k);
    }
    std::vector<double> weights;
    double total = 0;
    for (int id : order) {
      weights.push_back(std::exp((double{logits[id]} - logits[order[0]]) / params.temperature));
      total += weights.back();
    }
    weight_of_.resize(logits.size(), 0);
    double before = 0;
    for (size_t place = 0; place < order.size(); ++place) {
      if (before >= params.top_p * total && place > 0) break;
      before += weights[place];
      if (weights[place] < params.min_p) break;
      weight_of_[order[place]] = weights[place];
    }
    for (double weight : weight_of_)
      sum_to_.push_back((sum_to_.empty() ? 0 : sum_to_.back()) + weight);
  }

  double Probability(int id) const { return weight_of_[id] / sum_to_.back(); }

  // Whether `id` is where the cumulated probability, in order of ids, passes `uniform`.
  ::testing::AssertionResult Chooses(int id, double uniform, double tolerance) const {
    if (weight_of_[id] == 0) return ::testing::AssertionFailure() << id << " was filtered out";
    const double high = sum_to_[id] / sum_to_.back(), low = high - Probability(id);
    if (uniform >= low - tolerance && uniform <= high + tolerance) {
      return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure()
           << uniform << " is not in [" << low << ", " << high << ") of " << id;
  }

 private:
  std::vector<double> weight_of_;  // by id; 0: filtered out
  std::vector<double> sum_to_;     // of the ids up to each
};

TEST(GreedySampler, TakesTheBestAndOfEqualOnesTheLowerId) {
  EXPECT_EQ(SampleOnce({1, 5, 2}, Greedy()).token, 1);
  EXPECT_EQ(SampleOnce({1, 5, 5, 2}, Greedy()).token, 1);
  EXPECT_EQ(SampleOnce(std::vector<float>(100, -3.0f), Greedy()).token, 0);
  EXPECT_EQ(SampleOnce({7}, Greedy()).token, 0);
}

TEST(GreedySampler, CaresForNoFilterAndNoSeed) {
  SamplingParams params = Greedy();
  params.top_k = 2;
  params.top_p = 0.1;
  params.min_p = 1;
  const std::vector<float> logits = RandomLogits(kVocab, 1, 4);
  const int best = std::max_element(logits.begin(), logits.end()) - logits.begin();
  for (params.seed = 0; params.seed < 5; ++params.seed) {
    EXPECT_EQ(SampleOnce(logits, params, params.seed).token, best);
  }
}

TEST(GreedySampler, IsTheLimitOfFallingTemperature) {
  SamplingParams params;
  for (double temperature : {1e-3, 1e-5, 9e-6, 1e-10, 1e-300}) {
    params.temperature = temperature;
    for (int position = 0; position < 20; ++position) {
      EXPECT_EQ(SampleOnce({1, 2, 3, 2.9f}, params, position).token, 2) << temperature;
    }
  }
}

TEST(Sampler, ChoosesNoSuppressedAndNoMaskedToken) {
  SamplingParams params;
  params.suppress_tokens = {0};
  const std::vector<float> logits = {20, 20, 1, 1};
  for (double temperature : {0.0, 1.0, 1e300}) {
    params.temperature = temperature;
    for (int position = 0; position < 200; ++position) {
      EXPECT_GE(SampleOnce(logits, params, position, /*masked=*/{1}).token, 2);
    }
  }
}

TEST(Sampler, BiasForcesAToken) {
  SamplingParams params;
  params.logit_bias = {{3, 100.0f}};
  for (int position = 0; position < 50; ++position) {
    EXPECT_EQ(SampleOnce({30, 30, 30, -10}, params, position).token, 3);
  }
}

TEST(Sampler, PenaltiesReachTheChoice) {
  TokenCounts counts(std::vector<int32_t>{0});
  counts.AddGenerated(1);
  SamplingParams params = Greedy();
  const std::vector<float> logits = {5, 4.5f, 3};
  Sampler sampler;
  EXPECT_EQ(sampler.Sample(logits, params, counts, {}, 0)->token, 0);
  params.repetition_penalty = 2;
  EXPECT_EQ(sampler.Sample(logits, params, counts, {}, 0)->token, 2);
  params.repetition_penalty = 1;
  params.presence_penalty = -1;
  EXPECT_EQ(sampler.Sample(logits, params, counts, {}, 0)->token, 1);
}

struct OneChoiceCase {
  std::string name;
  void (*change)(SamplingParams&);
};
class OneChoiceTest : public ::testing::TestWithParam<OneChoiceCase> {};

TEST_P(OneChoiceTest, LeavesOnlyTheBest) {
  SamplingParams params;
  GetParam().change(params);
  const std::vector<float> logits = {1, 1.2f, 1.3f, 1.1f};
  for (int position = 0; position < 100; ++position) {
    EXPECT_EQ(SampleOnce(logits, params, position).token, 2);
  }
}
INSTANTIATE_TEST_SUITE_P(Filters, OneChoiceTest,
                         ::testing::ValuesIn(std::vector<OneChoiceCase>{
                             {"top_k", [](SamplingParams& p) { p.top_k = 1; }},
                             {"top_p", [](SamplingParams& p) { p.top_p = 0.2; }},
                             {"tiny_top_p", [](SamplingParams& p) { p.top_p = 1e-300; }},
                             {"min_p", [](SamplingParams& p) { p.min_p = 1; }},
                         }),
                         [](const auto& info) { return info.param.name; });

struct BadRowCase {
  std::string name;
  std::vector<float> logits;
  std::string message;
};
class BadRowTest : public ::testing::TestWithParam<BadRowCase> {};

TEST_P(BadRowTest, IsAnInternalError) {
  for (double temperature : {0.0, 1.0}) {
    SamplingParams params;
    params.temperature = temperature;
    params.top_k = 2;
    params.logprobs = 2;
    EXPECT_THAT(Sampler().Sample(GetParam().logits, params, TokenCounts(), {}, 0),
                StatusIs(absl::StatusCode::kInternal, HasSubstr(GetParam().message)));
  }
}
INSTANTIATE_TEST_SUITE_P(Rows, BadRowTest,
                         ::testing::ValuesIn(std::vector<BadRowCase>{
                             {"nan", {1, 2, kNan, 3}, "the logit of token 2 is nan"},
                             {"infinity", {1, kInf}, "the logit of token 1 is inf"},
                             {"all_nan", std::vector<float>(50, kNan), "token 0 is nan"},
                             {"all_masked", {-kInf, -kInf}, "none of 2 tokens"},
                             {"empty", {}, "none of 0 tokens"},
                         }),
                         [](const auto& info) { return info.param.name; });

TEST(Sampler, FailsWhereTheCallerMaskedEverything) {
  EXPECT_THAT(Sampler().Sample({1, 2}, SamplingParams(), TokenCounts(), {0, 1}, 0),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("all are masked")));
}

struct FilterCase {
  std::string name;
  double temperature;
  int top_k;
  double top_p;
  double min_p;
};
std::vector<FilterCase> FilterCases() {
  return {
      {"plain", 1, 0, 1, 0},
      {"cold", 0.3, 0, 1, 0},
      {"hot", 5, 0, 1, 0},
      {"top_k", 1, 40, 1, 0},
      {"large_top_k", 1, 700, 1, 0},
      {"top_k_of_all", 1, 1000000000, 1, 0},
      {"top_p", 1, 0, 0.9, 0},
      {"small_top_p", 1, 0, 0.05, 0},
      {"wide_top_p", 3, 0, 0.999, 0},
      {"min_p", 1, 0, 1, 0.05},
      {"defaults", 1, 64, 0.95, 0},
      {"everything", 0.8, 50, 0.9, 0.02},
  };
}
SamplingParams ParamsOf(const FilterCase& filter) {
  SamplingParams params;
  params.temperature = filter.temperature;
  params.top_k = filter.top_k;
  params.top_p = filter.top_p;
  params.min_p = filter.min_p;
  return params;
}
class FilterTest : public ::testing::TestWithParam<FilterCase> {};

TEST_P(FilterTest, AgreesWithAFullSortInDouble) {
  SamplingParams params = ParamsOf(GetParam());
  Sampler sampler;
  for (int size : {1, 2, 17, 100, 1000, 1025, 5000}) {
    for (double spread : {0.0, 0.5, 4.0, 15.0}) {
      const std::vector<float> logits = RandomLogits(size, size, spread);
      const Reference reference(logits, params);
      for (int draw = 0; draw < 60; ++draw) {
        params.seed = draw * 7919;
        const auto sampled = sampler.Sample(logits, params, TokenCounts(), {}, draw);
        ASSERT_THAT(sampled, IsOk());
        ASSERT_TRUE(reference.Chooses(sampled->token, UniformAt(params.seed, draw), 1e-6))
            << size << " " << spread << " " << draw;
      }
    }
  }
}

TEST_P(FilterTest, AgreesWithAFullSortOverTheWholeVocabulary) {
  SamplingParams params = ParamsOf(GetParam());
  Sampler sampler;
  for (double spread : {1.0, 6.0}) {
    std::vector<float> logits = RandomLogits(kVocab, 5, spread);
    logits[kVocab - 1] = *std::max_element(logits.begin(), logits.end());  // a tie at the edge
    const Reference reference(logits, params);
    for (int draw = 0; draw < 5; ++draw) {
      const auto sampled = sampler.Sample(logits, params, TokenCounts(), {}, draw);
      ASSERT_THAT(sampled, IsOk());
      ASSERT_TRUE(reference.Chooses(sampled->token, UniformAt(params.seed, draw), 1e-6)) << draw;
    }
  }
}

TEST_P(FilterTest, DrawsFromTheDistribution) {
  SamplingParams params = ParamsOf(GetParam());
  params.seed = 42;
  const std::vector<float> logits = RandomLogits(60, 3, 1.5);
  const Reference reference(logits, params);
  constexpr int kDraws = 20000;
  std::map<int, int> counts;
  Sampler sampler;
  for (int draw = 0; draw < kDraws; ++draw) {
    ++counts[sampler.Sample(logits, params, TokenCounts(), {}, draw)->token];
  }
  double chi_square = 0;
  int degrees = -1;
  double rare_expected = 0, rare_counted = 0;
  for (int id = 0; id < 60; ++id) {
    const double expected = kDraws * reference.Probability(id);
    if (expected == 0) {
      ASSERT_EQ(counts[id], 0) << id;
    } else if (expected < 10) {
      rare_expected += expected;
      rare_counted += counts[id];
    } else {
      chi_square += std::pow(counts[id] - expected, 2) / expected;
      ++degrees;
    }
  }
  if (rare_expected > 5) {
    chi_square += std::pow(rare_counted - rare_expected, 2) / rare_expected;
    ++degrees;
  }
  // Mean plus five standard deviations of the chi-square distribution.
  EXPECT_LE(chi_square, degrees + 5 * std::sqrt(2.0 * degrees) + 1e-9);
}
INSTANTIATE_TEST_SUITE_P(Filters, FilterTest, ::testing::ValuesIn(FilterCases()),
                         [](const auto& info) { return info.param.name; });

TEST(Sampler, TopKTakesTheLowerIdsOfEqualLogits) {
  SamplingParams params;
  params.top_k = 3;
  const std::vector<float> logits(kVocab, 1.0f);
  Sampler sampler;
  for (int position = 0; position < 50; ++position) {
    EXPECT_LT(sampler.Sample(logits, params, TokenCounts(), {}, position)->token, 3);
  }
}

TEST(Sampler, TopPTakesTheLowerIdsOfEqualLogits) {
  SamplingParams params;
  params.top_p = 0.5;
  const std::vector<float> logits(4096, 1.0f);
  Sampler sampler;
  int highest = 0;
  for (int position = 0; position < 3000; ++position) {
    highest = std::max(highest, sampler.Sample(logits, params, TokenCounts(), {}, position)->token);
  }
  EXPECT_LT(highest, 2048);
  EXPECT_GE(highest, 2000);
}

TEST(Sampler, TopPCountsTheShareOfWhatTopKLeft) {
  SamplingParams params;
  params.top_k = 2;
  params.top_p = 0.6;
  // Of all, token 0 has a third; of the two that top_k leaves, a little more than half.
  const std::vector<float> logits = {1.01f, 1, 0.99f};
  std::map<int, int> counts;
  for (int position = 0; position < 300; ++position) {
    ++counts[SampleOnce(logits, params, position).token];
  }
  EXPECT_GE(counts[0], 100);
  EXPECT_GE(counts[1], 100);
  EXPECT_EQ(counts[2], 0);
  params.top_p = 0.5;  // reached by token 0 alone
  for (int position = 0; position < 100; ++position) {
    EXPECT_EQ(SampleOnce(logits, params, position).token, 0);
  }
}

TEST(Sampler, SameSeedAndPositionGiveTheSameTokenWhateverRanBefore) {
  const std::vector<float> small = RandomLogits(50, 1, 1);
  const std::vector<float> large = RandomLogits(kVocab, 2, 3);
  std::vector<SamplingParams> mixed;
  for (const FilterCase& filter : FilterCases()) {
    mixed.push_back(ParamsOf(filter));
    mixed.back().seed = mixed.size() * 1000;
    mixed.back().logprobs = 3;
  }
  std::vector<int32_t> alone;
  for (size_t i = 0; i < mixed.size(); ++i) {
    alone.push_back(SampleOnce(i % 2 ? small : large, mixed[i], /*position=*/9).token);
  }
  Sampler shared;  // the batch, with the scratch of the others left in it, in the other order
  for (size_t i = mixed.size(); i-- > 0;) {
    EXPECT_EQ(shared.Sample(i % 2 ? small : large, mixed[i], TokenCounts(), {}, 9)->token,
              alone[i]);
  }
}

TEST(Sampler, SeedAndPositionChangeTheDraw) {
  const std::vector<float> logits(1000, 0.0f);
  SamplingParams params;
  const int token = SampleOnce(logits, params, 0).token;
  int same_position = 0, same_seed = 0;
  for (int i = 1; i <= 100; ++i) {
    same_seed += SampleOnce(logits, params, i).token == token;
    params.seed = i;
    same_position += SampleOnce(logits, params, 0).token == token;
    params.seed = 0;
  }
  EXPECT_LE(same_seed, 3);
  EXPECT_LE(same_position, 3);
}

TEST(SamplerLogprobs, AreThoseOfTheModelWhateverTheSettings) {
  const std::vector<float> logits = RandomLogits(500, 8, 2);
  double total = 0;
  for (float x : logits) total += std::exp(double{x});
  SamplingParams params;
  params.temperature = 0.4;
  params.top_k = 50;
  params.logit_bias = {{7, 30.0f}};
  params.suppress_tokens = {8};
  params.logprobs = 0;
  const SampledToken sampled = SampleOnce(logits, params);
  EXPECT_EQ(sampled.token, 7);
  EXPECT_NEAR(sampled.logprob, logits[7] - std::log(total), 1e-5);
  EXPECT_TRUE(sampled.top_logprobs.empty());
}

TEST(SamplerLogprobs, ListTheLikeliestInOrder) {
  SamplingParams params = Greedy();
  params.logprobs = 4;
  params.suppress_tokens = {2};
  const SampledToken sampled = SampleOnce({0, 1, 3, 1, 2}, params);
  EXPECT_EQ(sampled.token, 4);
  std::vector<int32_t> ids;
  double share = 0;
  for (const TokenLogprob& top : sampled.top_logprobs) {
    ids.push_back(top.token);
    share += std::exp(top.logprob);
  }
  EXPECT_THAT(ids, ::testing::ElementsAre(2, 4, 1, 3));
  EXPECT_EQ(sampled.logprob, sampled.top_logprobs[1].logprob);
  EXPECT_NEAR(share,
              1 - std::exp(0 - std::log(std::exp(0) + 2 * std::exp(1) + std::exp(2) + std::exp(3))),
              1e-6);
}

TEST(SamplerLogprobs, AreAbsentUnlessAskedFor) {
  const SampledToken sampled = SampleOnce({1, 2, 3}, SamplingParams());
  EXPECT_EQ(sampled.logprob, 0);
  EXPECT_TRUE(sampled.top_logprobs.empty());
}

TEST(SamplerLogprobs, ListNoMoreThanThereAre) {
  SamplingParams params = Greedy();
  params.logprobs = 20;
  EXPECT_EQ(SampleOnce({1, 2, 3}, params).top_logprobs.size(), 3);
  EXPECT_EQ(SampleOnce({1, -kInf, 3}, params).top_logprobs.size(), 2);
}

TEST(SamplerLogprobs, AreExactOverTheWholeVocabulary) {
  const std::vector<float> logits = RandomLogits(kVocab, 4, 3);
  double total = 0;
  for (float x : logits) total += std::exp(double{x});
  SamplingParams params;
  params.logprobs = 20;
  const SampledToken sampled = SampleOnce(logits, params);
  EXPECT_NEAR(sampled.logprob, logits[sampled.token] - std::log(total), 1e-5);
  for (const TokenLogprob& top : sampled.top_logprobs) {
    EXPECT_NEAR(top.logprob, logits[top.token] - std::log(total), 1e-5);
  }
}

}  // namespace
}  // namespace facet
