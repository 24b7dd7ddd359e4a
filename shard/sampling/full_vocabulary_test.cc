// All that may change a choice at once, over rows as long as the model's, against the definition:
// plain loops and a full sort, in double.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "shard/sampling/counter_rng.h"
#include "shard/sampling/sampler.h"
#include "shard/sampling/stop_checker.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;

constexpr int kVocab = 262144;
constexpr double kMasked = -std::numeric_limits<double>::infinity();

// Multiples of 1/16, so that thousands are equal, and that no sum or product below is rounded.
std::vector<float> RowWithTies(uint32_t seed, double spread) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, spread);
  std::vector<float> row(kVocab);
  for (float& x : row) {
    x = static_cast<float>(std::round(16 * 30 * std::tanh(normal(random) / 30)) / 16);
  }
  return row;
}

// What a sequence has seen, as the reference counts it.
struct History {
  std::vector<int32_t> prompt;
  std::vector<int32_t> generated;

  TokenCounts Counts() const {
    TokenCounts counts(prompt);
    for (int32_t token : generated) counts.AddGenerated(token);
    return counts;
  }
};

History RandomHistory(std::mt19937& random) {
  History history;
  for (int i = 0; i < 50; ++i) history.prompt.push_back(static_cast<int32_t>(random() % kVocab));
  for (int i = 0; i < 30; ++i) {
    history.generated.push_back(i % 3 == 0 ? history.prompt[random() % 50]
                                           : static_cast<int32_t>(random() % kVocab));
  }
  history.generated.push_back(history.generated.front());  // one of them twice
  return history;
}

// Every parameter that is drawn keeps the arithmetic exact.
SamplingParams RandomParams(std::mt19937& random, const History& history) {
  const auto one_of = [&](std::vector<double> values) { return values[random() % values.size()]; };
  SamplingParams params;
  params.temperature = one_of({0, 0.25, 1, 2});
  params.top_k = static_cast<int>(one_of({0, 0, 1, 40, 5000, kVocab}));
  params.top_p = one_of({1, 1, 0.95, 0.3});
  params.min_p = one_of({0, 0, 0.03, 1});
  params.repetition_penalty = one_of({1, 2, 0.5});
  params.presence_penalty = one_of({0, 1.5, -2});
  params.frequency_penalty = one_of({0, 0.5, -0.25});
  params.seed = random();
  for (int i = 0; i < 20; ++i) {
    const int32_t token = i < 5 ? history.prompt[static_cast<size_t>(i)] : 1000 * i;
    params.logit_bias.push_back({token, static_cast<float>(one_of({-100, -0.5, 8, 20}))});
    params.suppress_tokens.push_back(static_cast<int32_t>(random() % kVocab));
  }
  params.logprobs = static_cast<int>(one_of({0, 1, 20}));
  return params;
}

std::vector<double> Adjusted(const std::vector<float>& row, const SamplingParams& params,
                             const History& history, const std::vector<int32_t>& masked) {
  std::vector<double> out(row.begin(), row.end());
  std::vector<int> times(row.size(), 0);
  std::vector<bool> seen(row.size(), false);
  for (int32_t token : history.prompt) seen[token] = true;
  for (int32_t token : history.generated) {
    seen[token] = true;
    ++times[token];
  }
  for (const auto& [token, bias] : params.logit_bias) out[token] += bias;
  for (size_t id = 0; id < out.size(); ++id) {
    double& x = out[id];
    if (seen[id]) x = x > 0 ? x / params.repetition_penalty : x * params.repetition_penalty;
    if (times[id] > 0) x -= params.frequency_penalty * times[id] + params.presence_penalty;
  }
  for (int32_t token : params.suppress_tokens) out[token] = kMasked;
  for (int32_t token : masked) out[token] = kMasked;
  return out;
}

// Ids by falling logit, equal ones by rising id.
std::vector<int32_t> Ranked(const std::vector<double>& row) {
  std::vector<int32_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return row[a] > row[b]; });
  return order;
}

// The probability of each token after all filters.
std::vector<double> Distribution(const std::vector<double>& row, const SamplingParams& params) {
  std::vector<int32_t> kept = Ranked(row);
  if (params.top_k > 0) kept.resize(std::min<size_t>(kept.size(), params.top_k));
  std::vector<double> weights;
  double total = 0;
  for (int32_t id : kept) {
    weights.push_back(std::exp((row[id] - row[kept[0]]) / params.temperature));
    total += weights.back();
  }
  std::vector<double> out(row.size(), 0);
  double before = 0, sum = 0;
  for (size_t place = 0; place < kept.size(); ++place) {
    if (place > 0 && before >= params.top_p * total) break;
    before += weights[place];
    if (weights[place] < params.min_p) break;
    out[kept[place]] = weights[place];
    sum += weights[place];
  }
  for (double& p : out) p /= sum;
  return out;
}

::testing::AssertionResult IsTheDraw(int32_t token, double uniform,
                                     const std::vector<double>& distribution) {
  if (distribution[token] == 0) return ::testing::AssertionFailure() << token << " is filtered out";
  const double low = std::accumulate(distribution.begin(), distribution.begin() + token, 0.0);
  const double high = low + distribution[token];
  constexpr double kTolerance = 1e-6;
  if (uniform >= low - kTolerance && uniform <= high + kTolerance) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure()
         << uniform << " is not in [" << low << ", " << high << ") of " << token;
}

void ExpectLogprobs(const SampledToken& token, const std::vector<float>& row, int count) {
  double total = 0;
  for (float x : row) total += std::exp(double{x} - 30);
  const double log_sum = 30 + std::log(total);
  EXPECT_NEAR(token.logprob, row[token.token] - log_sum, 1e-4);
  const std::vector<int32_t> ranked = Ranked(std::vector<double>(row.begin(), row.end()));
  ASSERT_EQ(token.top_logprobs.size(), static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    EXPECT_EQ(token.top_logprobs[i].token, ranked[i]) << i;
    EXPECT_NEAR(token.top_logprobs[i].logprob, row[ranked[i]] - log_sum, 1e-4) << i;
  }
}

class FullVocabularyTest : public ::testing::TestWithParam<int> {};

TEST_P(FullVocabularyTest, AgreesWithTheDefinition) {
  std::mt19937 random(static_cast<uint32_t>(GetParam()));
  const std::vector<float> row = RowWithTies(random(), GetParam() % 2 ? 2 : 8);
  const History history = RandomHistory(random);
  const SamplingParams params = RandomParams(random, history);
  ASSERT_THAT(params.Validate(kVocab), IsOk());
  const std::vector<int32_t> masked = {1, 106, kVocab - 1};
  const int64_t position = static_cast<int64_t>(random() % 1000);

  Sampler sampler;
  const auto sampled = sampler.Sample(row, params, history.Counts(), masked, position);
  ASSERT_THAT(sampled, IsOk());
  const std::vector<double> adjusted = Adjusted(row, params, history, masked);
  if (params.temperature == 0) {
    EXPECT_EQ(sampled->token, Ranked(adjusted).front());
  } else {
    EXPECT_TRUE(IsTheDraw(sampled->token, UniformAt(params.seed, position),
                          Distribution(adjusted, params)));
  }
  ExpectLogprobs(*sampled, row, *params.logprobs);
}
INSTANTIATE_TEST_SUITE_P(Seeds, FullVocabularyTest, ::testing::Range(0, 40));

TEST(FullVocabulary, ScoresAKnownToken) {
  const std::vector<float> row = RowWithTies(3, 4);
  Sampler sampler;
  for (int32_t token : {0, 77777, kVocab - 1}) {
    for (int count : {0, 1, 20}) {
      const auto scored = sampler.Score(row, token, count);
      ASSERT_THAT(scored, IsOk());
      EXPECT_EQ(scored->token, token);
      ExpectLogprobs(*scored, row, count);
    }
  }
}

TEST(FullVocabulary, ARowThatCannotBeScoredIsAnInternalError) {
  std::vector<float> row(kVocab, 1.0f);
  row[kVocab - 1] = std::nanf("");
  EXPECT_EQ(Sampler().Score(row, 5, 0).status().code(), absl::StatusCode::kInternal);
  row.assign(kVocab, -std::numeric_limits<float>::infinity());
  EXPECT_EQ(Sampler().Score(row, 5, 0).status().code(), absl::StatusCode::kInternal);
}

struct StopCase {
  std::string name;
  bool ignore_eos;
  int min_tokens;
  int ends_after;  // of 6 tokens at most
  FinishReason reason;
};
class StopTest : public ::testing::TestWithParam<StopCase> {};

// The likeliest token is always one that ends the model's turn.
TEST_P(StopTest, EndTokensAreChosenWhenTheyMayBe) {
  std::vector<float> row = RowWithTies(9, 4);
  row[kVocab - 2] = 40;
  StopConditions conditions;
  conditions.max_tokens = 6;
  conditions.min_tokens = GetParam().min_tokens;
  conditions.ignore_eos = GetParam().ignore_eos;
  conditions.end_token_ids = {1, kVocab - 2};
  ASSERT_THAT(conditions.Validate(kVocab), IsOk());
  const StopChecker stop(conditions, /*prompt_tokens=*/1, /*max_context=*/100);
  SamplingParams params;
  params.temperature = 0;
  Sampler sampler;
  int generated = 0;
  FinishReason reason = FinishReason::kNone;
  while (reason == FinishReason::kNone) {
    const auto sampled =
        sampler.Sample(row, params, TokenCounts(), stop.MaskedTokens(generated), generated);
    ASSERT_THAT(sampled, IsOk());
    const bool masked = !GetParam().ignore_eos && generated < GetParam().min_tokens;
    EXPECT_EQ(sampled->token == kVocab - 2, !masked) << generated;
    reason = stop.Check(sampled->token, ++generated);
  }
  EXPECT_EQ(generated, GetParam().ends_after);
  EXPECT_EQ(reason, GetParam().reason);
}
INSTANTIATE_TEST_SUITE_P(Cases, StopTest,
                         ::testing::ValuesIn(std::vector<StopCase>{
                             {"at_once", false, 0, 1, FinishReason::kStop},
                             {"not_before_min_tokens", false, 4, 5, FinishReason::kStop},
                             {"min_tokens_is_all", false, 6, 6, FinishReason::kLength},
                             {"ignored", true, 0, 6, FinishReason::kLength},
                             {"ignored_with_min_tokens", true, 3, 6, FinishReason::kLength},
                         }),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace facet
