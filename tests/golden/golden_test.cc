// The transformer against the reference implementation: logits at every position and greedy tokens,
// for every way to share a model among ranks, to cut a prompt into steps and to batch requests.
//
//   golden_test DIRECTORY...     checkpoints with expected.json and expected.safetensors;
//                                FACET_GOLDEN_DIRS (separated by colons) takes their place

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/golden/golden_model.h"
#include "tests/golden/rank_group.h"

namespace facet::testing {
namespace {

constexpr float kTolerance = 1e-3f;  // on logits of order 10

std::vector<std::string>& Directories() {
  static auto* directories = new std::vector<std::string>;
  return *directories;
}

// Loaded once for all tests. Ends the program if it cannot be read.
const GoldenModel& Golden(const std::string& dir) {
  static auto* models = new std::map<std::string, GoldenModel>;
  auto it = models->find(dir);
  if (it == models->end()) {
    auto model = LoadGoldenModel(dir);
    FACET_CHECK(model.ok()) << model.status().ToString();
    it = models->emplace(dir, *std::move(model)).first;
  }
  return it->second;
}

// The levels of kernels that this CPU has, highest first.
std::vector<std::string> CpuLevels() {
  std::vector<std::string> levels;
  for (const char* wanted : {"avx512bf16", "avx512", "avx2", "reference"}) {
    CpuOptions options;
    options.threads = 1;
    options.max_level = wanted;
    const std::string got = (*CpuBackend::Create(options))->level();
    if (std::find(levels.begin(), levels.end(), got) == levels.end()) levels.push_back(got);
  }
  return levels;
}

struct GoldenCase {
  std::string dir;
  int world_size = 1;
  bool expert_parallel = false;
  std::string level;
  int threads = 1;
};

std::string CaseName(const GoldenCase& c) {
  std::string name =
      absl::StrCat(c.dir.substr(c.dir.find_last_of('/') + 1), "_", c.expert_parallel ? "ep" : "tp",
                   c.world_size, "_", c.level, "_", c.threads, "thread");
  for (char& x : name) {
    if (!std::isalnum(static_cast<unsigned char>(x))) x = '_';
  }
  return name;
}

std::vector<GoldenCase> Cases() {
  std::vector<GoldenCase> cases;
  const std::vector<std::string> levels = CpuLevels();
  for (const std::string& dir : Directories()) {
    for (const std::string& level : levels) cases.push_back({dir, 1, false, level});
    cases.push_back({dir, 1, false, levels[0], 2});
    cases.push_back({dir, 2, false, levels[0]});
    cases.push_back({dir, 4, false, levels[0]});
    if (levels.size() > 1) cases.push_back({dir, 4, false, levels.back()});
    if (!Golden(dir).config.moe.has_value()) continue;
    cases.push_back({dir, 2, true, levels[0]});
    cases.push_back({dir, 4, true, levels[0]});
  }
  return cases;
}

// How a prompt comes in: tokens a step (0: all at once), and the page size to try with it.
struct Chunking {
  int chunk;
  int page_tokens;
};
constexpr Chunking kChunkings[] = {{1, 4}, {3, 16}, {16, 8}, {0, 16}};

float MaxDifference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return HUGE_VALF;
  float max = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const float difference = std::abs(a[i] - b[i]);
    if (!(difference <= max)) max = difference;  // NaN stays
    if (std::isnan(difference)) return HUGE_VALF;
  }
  return max;
}

int ArgMax(const std::vector<float>& x) {
  return static_cast<int>(std::max_element(x.begin(), x.end()) - x.begin());
}

class GoldenTest : public ::testing::TestWithParam<GoldenCase> {
 protected:
  const GoldenModel& model() const { return Golden(GetParam().dir); }

  void StartGroup(int page_tokens, ComputeMode mode = ComputeMode::kF32) {
    const GoldenCase& c = GetParam();
    GroupOptions options;
    options.world_size = c.world_size;
    options.expert_parallel = c.expert_parallel;
    options.mode = mode;
    options.level = c.level;
    options.threads = c.threads;
    options.page_tokens = page_tokens;
    for (const GoldenPrompt& prompt : model().prompts) {
      const auto length = static_cast<int>(prompt.Path().size());
      options.max_rows = std::max(options.max_rows, kBatch * length);
      options.pages = std::max(options.pages, kBatch * (length / page_tokens + 1));
    }
    auto group = RankGroup::Start(model(), options);
    ASSERT_THAT(group, IsOk());
    group_ = *std::move(group);
  }

  // Runs `tokens` as one sequence in chunks; logits of every position, or of the last one.
  Logits Prefill(TestSequence& sequence, const std::vector<int32_t>& tokens, int chunk,
                 bool all_logits) {
    Logits logits;
    const size_t step = chunk == 0 ? tokens.size() : chunk;
    for (size_t begin = 0; begin < tokens.size(); begin += step) {
      const size_t end = std::min(tokens.size(), begin + step);
      StepPlan plan;
      const int rows = all_logits ? static_cast<int>(end - begin) : end == tokens.size() ? 1 : 0;
      plan.sequences = {sequence.Step({tokens.begin() + begin, tokens.begin() + end}, rows)};
      auto result = group_->Forward(plan);
      EXPECT_THAT(result, IsOk());
      if (!result.ok()) return {};
      EXPECT_EQ(static_cast<int>(result->size()), rows);
      logits.insert(logits.end(), result->begin(), result->end());
    }
    return logits;
  }

  TestSequence NewSequence(TestPages& pages) {
    return TestSequence(model().config, group_->options().page_tokens, pages);
  }

  // Logits of every position of `prompt`, run alone in one step.
  Logits RunAlone(const GoldenPrompt& prompt) {
    TestPages pages(*group_, TestPages::Contents::kPoisoned, 5);
    TestSequence sequence = NewSequence(pages);
    return Prefill(sequence, prompt.Path(), 0, /*all_logits=*/true);
  }

  static constexpr int kBatch = 8;
  std::unique_ptr<RankGroup> group_;
};

TEST_P(GoldenTest, LogitsOfEveryPositionInFreshPages) {
  float worst = 0;
  for (const Chunking& chunking : kChunkings) {
    StartGroup(chunking.page_tokens);
    for (size_t n = 0; n < model().prompts.size(); ++n) {
      const GoldenPrompt& prompt = model().prompts[n];
      TestPages pages(*group_, TestPages::Contents::kPoisoned, 1);
      TestSequence sequence = NewSequence(pages);
      const Logits logits = Prefill(sequence, prompt.Path(), chunking.chunk, /*all_logits=*/true);
      ASSERT_EQ(logits.size(), prompt.logits.size());
      for (size_t p = 0; p < logits.size(); ++p) {
        const float difference = MaxDifference(logits[p], prompt.logits[p]);
        worst = std::max(worst, difference);
        ASSERT_LE(difference, kTolerance)
            << "prompt " << n << " position " << p << " chunk " << chunking.chunk;
      }
    }
  }
  RecordProperty("largest_difference", absl::StrCat(worst));
  std::printf("largest difference of a logit: %.2e\n", worst);
}

TEST_P(GoldenTest, GreedyTokensInReusedPages) {
  for (const Chunking& chunking : kChunkings) {
    StartGroup(chunking.page_tokens);
    TestPages pages(*group_, TestPages::Contents::kLeftOver, 2);
    {
      TestSequence other = NewSequence(pages);
      Prefill(other, model().prompts.back().Path(), 0, /*all_logits=*/false);
    }
    for (size_t n = 0; n < model().prompts.size(); ++n) {
      const GoldenPrompt& prompt = model().prompts[n];
      TestSequence sequence = NewSequence(pages);
      Logits logits = Prefill(sequence, prompt.ids, chunking.chunk, /*all_logits=*/false);
      std::vector<int32_t> tokens;
      for (size_t step = 0; step < prompt.greedy.size(); ++step) {
        ASSERT_EQ(logits.size(), 1u);
        ASSERT_LE(MaxDifference(logits[0], prompt.logits[prompt.ids.size() - 1 + step]), kTolerance)
            << "prompt " << n << " token " << step << " chunk " << chunking.chunk;
        tokens.push_back(ArgMax(logits[0]));
        if (tokens.size() == prompt.greedy.size()) break;
        logits = Prefill(sequence, {tokens.back()}, 0, /*all_logits=*/false);
      }
      EXPECT_EQ(tokens, prompt.greedy) << "prompt " << n << " chunk " << chunking.chunk;
    }
  }
}

// Eight requests at different places of their lives share each step: chunks of prompts and single
// tokens, some with logits and some without. Each gets, bit by bit, what it gets alone.
TEST_P(GoldenTest, ABatchOfEightChangesNoBit) {
  StartGroup(/*page_tokens=*/4);
  std::vector<Logits> alone;
  for (const GoldenPrompt& prompt : model().prompts) alone.push_back(RunAlone(prompt));

  TestPages pages(*group_, TestPages::Contents::kPoisoned, 3);
  struct Request {
    size_t prompt;
    int chunk;
    int first_step;
    std::unique_ptr<TestSequence> sequence;
    std::vector<int32_t> path;
  };
  std::vector<Request> requests;
  for (int r = 0; r < kBatch; ++r) {
    const size_t prompt = (r + 2) % model().prompts.size();
    requests.push_back({prompt, 1 + 3 * r, r / 3,
                        std::make_unique<TestSequence>(model().config, 4, pages),
                        model().prompts[prompt].Path()});
  }
  for (int step = 0;; ++step) {
    StepPlan plan;
    struct Wanted {
      size_t prompt;
      int position;
    };
    std::vector<Wanted> wanted;
    for (Request& request : requests) {
      const int begin = request.sequence->position();
      const auto left = static_cast<int>(request.path.size()) - begin;
      if (step < request.first_step || left == 0) continue;
      const int count = std::min(left, request.chunk);
      const int rows = (step + request.chunk) % 3 == 0 ? 0 : (count + 1) / 2;
      plan.sequences.push_back(request.sequence->Step(
          {request.path.begin() + begin, request.path.begin() + begin + count}, rows));
      for (int j = count - rows; j < count; ++j) wanted.push_back({request.prompt, begin + j});
    }
    if (plan.sequences.empty()) break;
    auto logits = group_->Forward(plan);
    ASSERT_THAT(logits, IsOk());
    ASSERT_EQ(logits->size(), wanted.size());
    for (size_t row = 0; row < wanted.size(); ++row) {
      const std::vector<float>& expected = alone[wanted[row].prompt][wanted[row].position];
      ASSERT_EQ(
          std::memcmp((*logits)[row].data(), expected.data(), expected.size() * sizeof(float)), 0)
          << "step " << step << " prompt " << wanted[row].prompt << " position "
          << wanted[row].position << ", off by " << MaxDifference((*logits)[row], expected);
    }
  }
}

// bfloat16 rounds, and where that flips an expert a logit moves by a lot. So what counts is the
// mean error and the share of equal choices, each position given the reference's tokens; and what
// is asked is to be about as good as the reference implementation's own run in bfloat16.
TEST_P(GoldenTest, Bfloat16StaysNearTheReference) {
  StartGroup(/*page_tokens=*/16, ComputeMode::kBF16);
  double sum = 0;
  int64_t count = 0;
  int agree = 0;
  int positions = 0;
  for (const GoldenPrompt& prompt : model().prompts) {
    const Logits logits = RunAlone(prompt);
    ASSERT_EQ(logits.size(), prompt.logits.size());
    for (size_t p = 0; p < logits.size(); ++p) {
      for (size_t i = 0; i < logits[p].size(); ++i) {
        sum += std::abs(logits[p][i] - prompt.logits[p][i]);
      }
      count += static_cast<int64_t>(logits[p].size());
      agree += ArgMax(logits[p]) == ArgMax(prompt.logits[p]);
      ++positions;
    }
  }
  const double mean = sum / static_cast<double>(count);
  std::printf("mean difference of a logit: %.3f, best token equal at %d of %d positions\n", mean,
              agree, positions);
  const Bfloat16Reference reference = model().bfloat16.value_or(Bfloat16Reference{0.6, 0.85});
  EXPECT_LE(mean, 1.2 * reference.mean_error);
  EXPECT_GE(agree, (reference.equal_best - 0.05) * positions);
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, GoldenTest, ::testing::ValuesIn(Cases()),
                         [](const auto& info) { return CaseName(info.param); });

}  // namespace
}  // namespace facet::testing

int main(int argc, char** argv) {
  if (const char* list = std::getenv("FACET_GOLDEN_DIRS"); list != nullptr) {
    facet::testing::Directories() = absl::StrSplit(list, ':', absl::SkipEmpty());
  } else {
    for (int i = 1; i < argc; ++i) {
      if (argv[i][0] != '-') facet::testing::Directories().push_back(argv[i]);
    }
  }
  if (facet::testing::Directories().empty()) {
    std::fprintf(stderr, "no checkpoints: name their folders\n");
    return 2;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
