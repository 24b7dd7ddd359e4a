// What the KV cache may and may not change: pages copied for a fork, types of less than 32 bits,
// and steps with fewer rows of logits than tokens. On the checkpoints of this folder.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/golden/golden_model.h"
#include "tests/golden/rank_group.h"

namespace facet::testing {
namespace {

constexpr int kPageTokens = 4;

GoldenModel Load(const std::string& variant) {
  auto model = LoadGoldenModel(absl::StrCat("tests/golden/", variant));
  FACET_CHECK(model.ok()) << model.status().ToString();
  return *std::move(model);
}

std::unique_ptr<RankGroup> StartGroup(const GoldenModel& model, DType kv_dtype, int world_size = 1,
                                      int max_logit_rows = 0) {
  GroupOptions options;
  options.world_size = world_size;
  options.kv_dtype = kv_dtype;
  options.page_tokens = kPageTokens;
  options.pages = 128;
  options.max_rows = 128;
  options.max_logit_rows = max_logit_rows;
  auto group = RankGroup::Start(model, options);
  FACET_CHECK(group.ok()) << group.status().ToString();
  return *std::move(group);
}

Logits RunStep(RankGroup& group, const StepPlan& plan) {
  auto logits = group.Forward(plan);
  FACET_CHECK(logits.ok()) << logits.status().ToString();
  return *std::move(logits);
}

// Logits of every position of `tokens`, `chunk` a step (0: all at once).
Logits RunAlone(const GoldenModel& model, RankGroup& group, const std::vector<int32_t>& tokens,
                size_t chunk = 0) {
  TestPages pages(group, TestPages::Contents::kPoisoned, 1);
  TestSequence sequence(model.config, kPageTokens, pages);
  Logits all;
  const size_t step = chunk == 0 ? tokens.size() : chunk;
  for (size_t begin = 0; begin < tokens.size(); begin += step) {
    const size_t end = std::min(tokens.size(), begin + step);
    StepPlan plan;
    plan.sequences = {sequence.Step({tokens.begin() + begin, tokens.begin() + end},
                                    static_cast<int>(end - begin))};
    for (std::vector<float>& row : RunStep(group, plan)) all.push_back(std::move(row));
  }
  return all;
}

void ExpectBitsEqual(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

int ArgMax(const std::vector<float>& x) {
  return static_cast<int>(std::max_element(x.begin(), x.end()) - x.begin());
}

float MaxDifference(const std::vector<float>& a, const std::vector<float>& b) {
  float largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const float difference = std::abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = difference;  // a NaN stays
  }
  return largest;
}

struct KvCase {
  std::string variant;
  DType dtype;
  int world_size = 1;
};
std::string CaseName(const ::testing::TestParamInfo<KvCase>& info) {
  return absl::StrCat(info.param.variant, "_", Name(info.param.dtype), "_", info.param.world_size);
}
std::vector<KvCase> Cases() {
  std::vector<KvCase> cases;
  for (const char* variant : {"dense", "moe", "ple", "ple4b"}) {
    for (DType dtype : {DType::kF32, DType::kBF16, DType::kInt8, DType::kF8E4M3}) {
      cases.push_back({variant, dtype, 1});
    }
    cases.push_back({variant, DType::kInt8, 2});
  }
  return cases;
}
class KvCacheTest : public ::testing::TestWithParam<KvCase> {};

// A sequence forks within a page: the fork goes on in a copy of it, in the step in which the first
// writes on in the page itself. Both must come to what each comes to alone.
TEST_P(KvCacheTest, AForkOnACopiedPageEqualsRunningAlone) {
  const GoldenModel model = Load(GetParam().variant);
  auto group = StartGroup(model, GetParam().dtype, GetParam().world_size);
  // Within the window, so that the shared sliding pages stay.
  const int fork_at = kPageTokens + 2;
  ASSERT_LE(fork_at, model.config.sliding_window);
  std::vector<int32_t> left = model.prompts.back().Path(), right = left;
  ASSERT_GT(static_cast<int>(left.size()), fork_at + 2);
  std::reverse(right.begin() + fork_at, right.end());
  right[fork_at] = (left[fork_at] + 1) % model.config.vocab_size;
  const Logits left_alone = RunAlone(model, *group, left);
  const Logits right_alone = RunAlone(model, *group, right);

  TestPages pages(*group, TestPages::Contents::kPoisoned, 2);
  TestSequence first(model.config, kPageTokens, pages);
  StepPlan prefix;
  prefix.sequences = {first.Step({left.begin(), left.begin() + fork_at}, 0)};
  RunStep(*group, prefix);

  StepPlan plan;
  TestSequence second(first, plan);
  ASSERT_EQ(plan.global_copies.size(), 1u);
  // Two tokens each: still the same page.
  for (int begin = fork_at; begin < fork_at + 2; ++begin) {
    plan.sequences = {first.Step({left[begin]}, 1), second.Step({right[begin]}, 1)};
    const Logits logits = RunStep(*group, plan);
    ASSERT_EQ(logits.size(), 2u);
    ExpectBitsEqual(logits[0], left_alone[begin]);
    ExpectBitsEqual(logits[1], right_alone[begin]);
    plan = StepPlan();
  }
}

// Steps of 1, 3 and 7 tokens against the whole at once, bit by bit, in every type.
TEST_P(KvCacheTest, ChunksChangeNoBit) {
  const GoldenModel model = Load(GetParam().variant);
  auto group = StartGroup(model, GetParam().dtype, GetParam().world_size);
  const std::vector<int32_t> path = model.prompts.back().Path();
  const Logits whole = RunAlone(model, *group, path);
  for (size_t chunk : {1, 3, 7}) {
    const Logits chunked = RunAlone(model, *group, path, chunk);
    ASSERT_EQ(chunked.size(), whole.size());
    for (size_t p = 0; p < whole.size(); ++p) ExpectBitsEqual(chunked[p], whole[p]);
  }
}

// A prompt whose log-probabilities are asked for goes in chunks of as many rows as may have logits,
// beside another's chunk that wants none and is larger than that.
TEST_P(KvCacheTest, ChunksFullOfLogitRowsEqualSingleTokens) {
  constexpr int kRows = 4;
  const GoldenModel model = Load(GetParam().variant);
  auto group = StartGroup(model, GetParam().dtype, GetParam().world_size, kRows);
  const std::vector<int32_t> path = model.prompts.back().Path();
  const Logits singly = RunAlone(model, *group, path, 1);

  TestPages pages(*group, TestPages::Contents::kPoisoned, 3);
  TestSequence asked(model.config, kPageTokens, pages), other(model.config, kPageTokens, pages);
  for (size_t begin = 0; begin < path.size(); begin += kRows) {
    const size_t end = std::min(path.size(), begin + kRows);
    StepPlan plan;
    plan.sequences = {
        other.Step(std::vector<int32_t>(5, 7), 0),
        asked.Step({path.begin() + begin, path.begin() + end}, static_cast<int>(end - begin))};
    ASSERT_EQ(plan.sequences[1].logits_from, 0);
    const Logits logits = RunStep(*group, plan);
    ASSERT_EQ(logits.size(), end - begin);
    for (size_t p = begin; p < end; ++p) ExpectBitsEqual(logits[p - begin], singly[p]);
  }
  StepPlan too_many;
  too_many.sequences = {other.Step(std::vector<int32_t>(kRows + 1, 7), kRows + 1)};
  EXPECT_THAT(group->Forward(too_many),
              StatusIs(absl::StatusCode::kInternal, ::testing::HasSubstr("5 rows with logits")));
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, KvCacheTest, ::testing::ValuesIn(Cases()), CaseName);

// How far each type may take a logit from the one with float32 pages, the same tokens before it,
// and how often the best token may be another. The bounds are those of docs/kv-cache.md; where
// rounding makes a token choose another expert, a logit moves by a lot.
struct ErrorCase {
  std::string variant;
  DType dtype;
  float most;    // of any logit
  double mean;   // of all
  double agree;  // share of positions with the same best token
};
class KvErrorTest : public ::testing::TestWithParam<ErrorCase> {};

TEST_P(KvErrorTest, StaysWithinTheStatedBound) {
  const ErrorCase& c = GetParam();
  const GoldenModel model = Load(c.variant);
  auto exact = StartGroup(model, DType::kF32), rounded = StartGroup(model, c.dtype);
  float most = 0;
  double sum = 0;
  int64_t count = 0;
  int agree = 0, positions = 0;
  int equal_runs = 0;
  for (const GoldenPrompt& prompt : model.prompts) {
    const std::vector<int32_t> path = prompt.Path();
    const Logits want = RunAlone(model, *exact, path), got = RunAlone(model, *rounded, path);
    ASSERT_EQ(got.size(), want.size());
    bool equal = true;
    for (size_t p = 0; p < want.size(); ++p) {
      most = std::max(most, MaxDifference(got[p], want[p]));
      for (size_t i = 0; i < want[p].size(); ++i) sum += std::abs(got[p][i] - want[p][i]);
      count += static_cast<int64_t>(want[p].size());
      const bool same = ArgMax(got[p]) == ArgMax(want[p]);
      agree += same;
      if (p + 1 >= prompt.ids.size()) equal = equal && same;
      ++positions;
    }
    equal_runs += equal;
  }
  const double mean = sum / static_cast<double>(count);
  std::printf(
      "%s %s: largest %.3f mean %.4f, best token equal at %d of %d, greedy runs equal %d of %zu\n",
      c.variant.c_str(), Name(c.dtype), most, mean, agree, positions, equal_runs,
      model.prompts.size());
  EXPECT_GT(most, 0);  // the type was really used
  EXPECT_LE(most, c.most);
  EXPECT_LE(mean, c.mean);
  EXPECT_GE(agree, c.agree * positions);
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, KvErrorTest,
                         ::testing::ValuesIn(std::vector<ErrorCase>{
                             {"dense", DType::kBF16, 0.6f, 0.04, 0.95},
                             {"dense", DType::kInt8, 2, 0.12, 0.93},
                             {"dense", DType::kF8E4M3, 10, 0.5, 0.85},
                             {"moe", DType::kBF16, 25, 0.9, 0.85},
                             {"moe", DType::kInt8, 2, 0.12, 0.93},
                             {"moe", DType::kF8E4M3, 25, 1.2, 0.75},
                             {"ple", DType::kBF16, 0.6f, 0.04, 0.95},
                             {"ple", DType::kInt8, 2, 0.12, 0.93},
                             {"ple", DType::kF8E4M3, 10, 0.5, 0.85},
                             {"ple4b", DType::kBF16, 0.6f, 0.04, 0.95},
                             {"ple4b", DType::kInt8, 2, 0.12, 0.93},
                             {"ple4b", DType::kF8E4M3, 10, 0.5, 0.85},
                         }),
                         [](const auto& info) {
                           return absl::StrCat(info.param.variant, "_", Name(info.param.dtype));
                         });

}  // namespace
}  // namespace facet::testing
