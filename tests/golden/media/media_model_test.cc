// The text model with the reference's soft tokens in it: logits and greedy tokens are those that
// the reference computes, for every way to share a model among ranks and to cut a prompt into
// steps, and whether or not the KV of its images comes from the prefix cache.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/dtype.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "shard/scheduler/scheduler.h"
#include "shard/soft_tokens.h"
#include "tests/golden/golden_model.h"
#include "tests/golden/media/media_golden.h"
#include "tests/golden/rank_group.h"

namespace facet::testing {
namespace {

constexpr float kTolerance = 5e-3f;
constexpr int kPageTokens = 8;
constexpr int kMaxRows = 256;

struct MediaPrompt {
  std::string name;
  std::vector<int32_t> ids;
  std::vector<int32_t> greedy;
  std::vector<SoftTokens> soft_tokens;
  std::vector<std::string> media;  // name of each of soft_tokens
  std::vector<int32_t> positions;  // of `logits`: those of text
  ExpectedRows logits;
};

std::vector<int32_t> Path(const MediaPrompt& prompt) {
  std::vector<int32_t> path = prompt.ids;
  path.insert(path.end(), prompt.greedy.begin(), prompt.greedy.end());
  return path;
}

struct MediaModel {
  GoldenModel model;  // without prompts of its own
  std::vector<MediaPrompt> prompts;
  std::vector<int32_t> never;  // ids that are no answer
};

SoftTokens SoftTokensOf(const ExpectedRows& rows, int position, MediaKind kind) {
  std::string bytes(rows.values.size() * sizeof(float), 0);
  std::memcpy(bytes.data(), rows.values.data(), bytes.size());
  return OwnSoftTokens(position, static_cast<int32_t>(rows.rows), kind, DType::kF32,
                       std::move(bytes));
}

MediaPrompt ReadPrompt(const std::string& name, const nlohmann::json& entry,
                       const MediaGolden& golden, const ModelConfig& config) {
  MediaPrompt prompt;
  prompt.name = name;
  prompt.ids = entry["ids"].get<std::vector<int32_t>>();
  prompt.greedy = entry["greedy"].get<std::vector<int32_t>>();
  auto place = prompt.ids.begin();
  for (const auto& medium : entry["media"]) {
    const auto kind_name = medium["kind"].get<std::string>();
    const MediaKind kind = kind_name == "image"   ? MediaKind::kImage
                           : kind_name == "video" ? MediaKind::kVideo
                                                  : MediaKind::kAudio;
    const int placeholder = kind == MediaKind::kImage   ? config.image_token_id.value()
                            : kind == MediaKind::kVideo ? config.video_token_id.value()
                                                        : config.audio_token_id.value();
    prompt.media.push_back(medium["name"].get<std::string>());
    auto rows = golden.Rows(absl::StrCat(prompt.media.back(), ".soft"));
    EXPECT_THAT(rows, IsOk());
    place = std::find(place, prompt.ids.end(), placeholder);
    prompt.soft_tokens.push_back(
        SoftTokensOf(*rows, static_cast<int>(place - prompt.ids.begin()), kind));
    place += rows->rows;
  }
  auto logits = golden.Rows(absl::StrCat(name, ".logits"));
  auto positions = golden.Bytes(absl::StrCat(name, ".positions"));
  EXPECT_THAT(logits, IsOk());
  EXPECT_THAT(positions, IsOk());
  prompt.logits = *std::move(logits);
  prompt.positions.resize(positions->size() / sizeof(int32_t));
  std::memcpy(prompt.positions.data(), positions->data(), positions->size());
  return prompt;
}

MediaModel LoadMediaModel(const std::string& dir) {
  MediaModel out;
  out.model.dir = out.model.name = dir;
  auto config = LoadModelConfig(dir);
  auto checkpoint = OpenCheckpoint(dir);
  auto golden = MediaGolden::Load(dir);
  EXPECT_THAT(config, IsOk());
  EXPECT_THAT(checkpoint, IsOk());
  EXPECT_THAT(golden, IsOk());
  out.model.config = *std::move(config);
  out.model.checkpoint = *std::move(checkpoint);
  std::ifstream file(absl::StrCat(dir, "/expected.json"));
  const nlohmann::json expected = nlohmann::json::parse(file);
  for (const auto& [name, id] : expected["special_ids"].items()) out.never.push_back(id);
  for (const auto& [name, entry] : expected["prompts"].items()) {
    out.prompts.push_back(ReadPrompt(name, entry, *golden, out.model.config));
  }
  return out;
}

const MediaModel& Model(const std::string& variant) {
  static auto* models = new std::map<std::string, MediaModel>;
  auto it = models->find(variant);
  if (it == models->end()) {
    it = models->emplace(variant, LoadMediaModel("tests/golden/media/" + variant)).first;
  }
  return it->second;
}

int32_t Best(const MediaModel& model, std::vector<float> logits) {
  for (int32_t id : model.never) logits[static_cast<size_t>(id)] = -HUGE_VALF;
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

std::unique_ptr<RankGroup> StartGroup(const MediaModel& model, int world_size) {
  GroupOptions options;
  options.world_size = world_size;
  options.page_tokens = kPageTokens;
  options.pages = 64;
  options.max_rows = kMaxRows;
  auto group = RankGroup::Start(model.model, options);
  EXPECT_THAT(group, IsOk());
  return *std::move(group);
}

// Logits of every position of `tokens`, computed `chunk` or fewer a step (0: all at once). Steps do
// not end in a block, unless `cut` says so.
Logits LogitsOf(RankGroup& group, const ModelConfig& config, const std::vector<int32_t>& tokens,
                const std::vector<SoftTokens>& soft_tokens, int chunk, bool cut = false) {
  PromptMedia media;
  if (config.bidirectional_vision && !cut) media.unsplit = BlocksOf(soft_tokens);
  TestPages pages(group, TestPages::Contents::kPoisoned, 5);
  TestSequence sequence(config, kPageTokens, pages);
  const auto size = static_cast<int>(tokens.size());
  Logits logits;
  for (int start = 0; start < size;) {
    int end = chunk == 0 ? size : std::min(size, start + chunk);
    if (const MediaSpan* block = media.UnsplitAcross(end)) {
      end = block->start > start ? block->start : block->start + block->tokens;
    }
    const std::vector<int32_t> part(tokens.begin() + start, tokens.begin() + end);
    StepPlan plan;
    plan.sequences = {sequence.Step(part, end - start)};
    for (const SoftTokens& run : soft_tokens) {
      if (SoftTokens in_part = run.Between(start, end); in_part.count > 0) {
        plan.sequences[0].soft_tokens.push_back(std::move(in_part));
      }
    }
    const auto rows = group.Forward(plan);
    EXPECT_THAT(rows, IsOk());
    logits.insert(logits.end(), rows->begin(), rows->end());
    start = end;
  }
  return logits;
}

float LargestDifferenceOfText(const MediaPrompt& prompt, const Logits& logits) {
  float largest = 0;
  for (size_t i = 0; i < prompt.positions.size(); ++i) {
    const auto row = prompt.logits.values.begin() + static_cast<int64_t>(i) * prompt.logits.cols;
    const std::vector<float> want(row, row + prompt.logits.cols);
    const float difference =
        LargestDifference(logits.at(static_cast<size_t>(prompt.positions[i])), want);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

struct Case {
  std::string variant;
  int world_size;
};
class MediaModelTest : public ::testing::TestWithParam<Case> {
 protected:
  const MediaModel& model() const { return Model(GetParam().variant); }
  const ModelConfig& config() const { return model().model.config; }
};

TEST_P(MediaModelTest, TracksTheReferenceHoweverPromptsAreCut) {
  auto group = StartGroup(model(), GetParam().world_size);
  ASSERT_FALSE(model().prompts.empty());
  for (const MediaPrompt& prompt : model().prompts) {
    for (int chunk : {0, 64, 7, 1}) {
      SCOPED_TRACE(absl::StrCat(prompt.name, ", chunks of ", chunk));
      const Logits logits = LogitsOf(*group, config(), Path(prompt), prompt.soft_tokens, chunk);
      EXPECT_LE(LargestDifferenceOfText(prompt, logits), kTolerance);
      for (size_t i = 0; i < prompt.greedy.size(); ++i) {
        EXPECT_EQ(Best(model(), logits[prompt.ids.size() - 1 + i]), prompt.greedy[i]);
      }
    }
  }
}

// Whether the KV of an image depends on where a step ends shows what the rule is there for.
TEST_P(MediaModelTest, ACutInABlockShowsJustWhereBlocksAre) {
  auto group = StartGroup(model(), GetParam().world_size);
  const MediaPrompt& prompt = model().prompts[0];
  const int chunk = prompt.soft_tokens[0].position + prompt.soft_tokens[0].count / 2;
  const Logits logits =
      LogitsOf(*group, config(), Path(prompt), prompt.soft_tokens, chunk, /*cut=*/true);
  const float difference = LargestDifferenceOfText(prompt, logits);
  if (config().bidirectional_vision && FormsBlocks(prompt.soft_tokens[0].kind)) {
    EXPECT_GE(difference, 0.1f);
  } else {
    EXPECT_LE(difference, kTolerance);
  }
}

const MediaPrompt& PromptOf(const MediaModel& model, const std::string& name) {
  const auto found = std::find_if(model.prompts.begin(), model.prompts.end(),
                                  [&](const MediaPrompt& prompt) { return prompt.name == name; });
  EXPECT_NE(found, model.prompts.end()) << name;
  return *found;
}

SoftTokens WithRow(const SoftTokens& run, int row, const std::function<float(float)>& change) {
  std::string rows(run.rows);
  const size_t row_bytes = rows.size() / static_cast<size_t>(run.count);
  for (size_t i = 0; i < row_bytes; i += sizeof(float)) {
    float value;
    char* const place = rows.data() + static_cast<size_t>(row) * row_bytes + i;
    std::memcpy(&value, place, sizeof(value));
    value = change(value);
    std::memcpy(place, &value, sizeof(value));
  }
  return OwnSoftTokens(run.position, run.count, run.kind, run.dtype, std::move(rows));
}

TEST_P(MediaModelTest, LaterPatchesReachEarlierOnesOnlyWhereBlocksAre) {
  auto group = StartGroup(model(), GetParam().world_size);
  const MediaPrompt& prompt = PromptOf(model(), "image");
  const SoftTokens& image = prompt.soft_tokens[0];
  const Logits before = LogitsOf(*group, config(), prompt.ids, prompt.soft_tokens, 0);
  const Logits after =
      LogitsOf(*group, config(), prompt.ids,
               {WithRow(image, image.count - 1, [](float value) { return -value; })}, 0);
  for (int position = 0; position < image.position; ++position) {
    EXPECT_TRUE(before[position] == after[position]) << position;
  }
  for (int position = image.position; position < image.end() - 1; ++position) {
    EXPECT_EQ(before[position] == after[position], !config().bidirectional_vision) << position;
  }
  EXPECT_TRUE(before.back() != after.back());
}

TEST_P(MediaModelTest, ClipsAreCausal) {
  if (!config().has_audio) GTEST_SKIP() << "the model takes no audio";
  auto group = StartGroup(model(), GetParam().world_size);
  const MediaPrompt& prompt = PromptOf(model(), "audio");
  const SoftTokens& clip = prompt.soft_tokens[0];
  const Logits before = LogitsOf(*group, config(), prompt.ids, prompt.soft_tokens, 0);
  const Logits after =
      LogitsOf(*group, config(), prompt.ids,
               {WithRow(clip, clip.count - 1, [](float value) { return -value; })}, 0);
  for (int position = 0; position < clip.end() - 1; ++position) {
    EXPECT_TRUE(before[position] == after[position]) << position;
  }
}

TEST_P(MediaModelTest, RowsInBfloat16AreTheirValues) {
  auto group = StartGroup(model(), GetParam().world_size);
  const MediaPrompt& prompt = PromptOf(model(), "image");
  const SoftTokens& image = prompt.soft_tokens[0];
  std::string rounded(image.rows), narrow(image.rows.size() / 2, 0);
  for (size_t i = 0; i < narrow.size() / 2; ++i) {
    float value;
    std::memcpy(&value, rounded.data() + 4 * i, 4);
    const uint16_t bits = FloatToBf16(value);
    value = Bf16ToFloat(bits);
    std::memcpy(rounded.data() + 4 * i, &value, 4);
    std::memcpy(narrow.data() + 2 * i, &bits, 2);
  }
  const auto own = [&](DType dtype, std::string rows) {
    return OwnSoftTokens(image.position, image.count, image.kind, dtype, std::move(rows));
  };
  EXPECT_TRUE(LogitsOf(*group, config(), prompt.ids, {own(DType::kBF16, narrow)}, 0) ==
              LogitsOf(*group, config(), prompt.ids, {own(DType::kF32, rounded)}, 0));
}

// ---- Through the scheduler.

class ScheduledRun {
 public:
  ScheduledRun(const MediaModel& model, int world_size)
      : model_(model), group_(StartGroup(model, world_size)) {
    Scheduler::Options options;
    options.max_step_tokens = 80;  // an image and little else
    options.max_running_sequences = 4;
    options.page_tokens = kPageTokens;
    options.global_pages = options.sliding_pages = 64;
    options.sliding_window = model.model.config.sliding_window;
    options.max_context = 512;
    auto scheduler = Scheduler::Create(options);
    EXPECT_THAT(scheduler, IsOk());
    scheduler_ = *std::move(scheduler);
  }

  // Greedy tokens of the prompt, with `soft_tokens` in the place of its own.
  std::vector<int32_t> Answer(const MediaPrompt& prompt, const std::vector<SoftTokens>& soft_tokens,
                              const std::vector<std::string>& contents) {
    SequenceRequest request;
    request.id = ++last_id_;
    request.prompt = prompt.ids;
    request.max_new_tokens = static_cast<int>(prompt.greedy.size());
    auto media = std::make_shared<PromptMedia>();
    media->soft_tokens = soft_tokens;
    if (model_.model.config.bidirectional_vision) media->unsplit = BlocksOf(soft_tokens);
    request.media = media;
    std::vector<MediaSpan> hashed;
    for (size_t i = 0; i < soft_tokens.size(); ++i) {
      hashed.push_back({soft_tokens[i].position, soft_tokens[i].count, contents[i]});
    }
    request.block_hashes.emplace(kPageTokens, "tenant", std::move(hashed));
    request.block_hashes->Extend(request.prompt);
    EXPECT_THAT(scheduler_->Add(std::move(request), absl::UnixEpoch()), IsOk());
    std::vector<int32_t> answer;
    while (true) {
      const StepPlan plan = scheduler_->Next(absl::UnixEpoch());
      if (plan.kind != StepPlan::Kind::kRun) break;
      const auto logits = group_->Forward(plan);
      EXPECT_THAT(logits, IsOk());
      std::vector<NewToken> tokens;
      for (const LogitsRow& row : scheduler_->rows()) {
        answer.push_back(Best(model_, logits->at(static_cast<size_t>(row.row))));
        tokens.push_back({row.sequence_id, answer.back(), false});
      }
      scheduler_->Commit(tokens);
    }
    cached_tokens_ = scheduler_->TakeStarted().at(0).cached_tokens;
    return answer;
  }

  // Of the last prompt.
  int cached_tokens() const { return cached_tokens_; }

 private:
  const MediaModel& model_;
  std::unique_ptr<RankGroup> group_;
  std::unique_ptr<Scheduler> scheduler_;
  int64_t last_id_ = 0;
  int cached_tokens_ = 0;
};

TEST_P(MediaModelTest, AnswersAreTheSameColdAndFromTheCache) {
  for (const MediaPrompt& prompt : model().prompts) {
    SCOPED_TRACE(prompt.name);
    ScheduledRun run(model(), GetParam().world_size);
    EXPECT_EQ(run.Answer(prompt, prompt.soft_tokens, prompt.media), prompt.greedy);
    EXPECT_EQ(run.cached_tokens(), 0);
    EXPECT_EQ(run.Answer(prompt, prompt.soft_tokens, prompt.media), prompt.greedy);
    EXPECT_GE(run.cached_tokens(), kPageTokens);
    if (!config().bidirectional_vision) continue;
    for (const MediaSpan& block : BlocksOf(prompt.soft_tokens)) {
      EXPECT_FALSE(block.start < run.cached_tokens() &&
                   run.cached_tokens() < block.start + block.tokens)
          << run.cached_tokens();
    }
  }
}

TEST_P(MediaModelTest, EqualTextWithAnotherImageSharesNoPageOfIt) {
  const MediaPrompt& prompt = PromptOf(model(), "image");
  const SoftTokens& image = prompt.soft_tokens[0];
  std::vector<SoftTokens> other = {WithRow(image, 0, [](float value) { return 2 - value; })};
  for (int row = 1; row < image.count; ++row) {
    other[0] = WithRow(other[0], row, [](float value) { return 2 - value; });
  }
  ScheduledRun alone(model(), GetParam().world_size);
  const std::vector<int32_t> want = alone.Answer(prompt, other, {"other"});
  ASSERT_NE(want, prompt.greedy) << "the two images must not have the same answer";
  ScheduledRun run(model(), GetParam().world_size);
  EXPECT_EQ(run.Answer(prompt, prompt.soft_tokens, {"one"}), prompt.greedy);
  EXPECT_EQ(run.Answer(prompt, other, {"other"}), want);
  EXPECT_LE(run.cached_tokens(), image.position);
  EXPECT_EQ(run.Answer(prompt, prompt.soft_tokens, {"one"}), prompt.greedy);
}

INSTANTIATE_TEST_SUITE_P(Variants, MediaModelTest,
                         ::testing::ValuesIn(std::vector<Case>{
                             {"dense", 1}, {"dense", 2}, {"ple", 1}, {"ple", 2}}),
                         [](const auto& info) {
                           return absl::StrCat(info.param.variant, "_tp", info.param.world_size);
                         });

}  // namespace
}  // namespace facet::testing
