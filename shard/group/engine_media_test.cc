// Requests with soft tokens: what the ranks get of them, what is cached, and what is refused.

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/retry_after.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shard/group/testing/engine_harness.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::StatusIs;

constexpr int32_t kImage = 40, kAudio = 41;
constexpr int kHidden = 2;

class MediaTest : public EngineTest {
 protected:
  static LeaderEngine::Options MediaOptions() {
    LeaderEngine::Options options = DefaultOptions();
    options.scheduler.max_step_tokens = 40;
    options.media.hidden_size = kHidden;
    options.media.image_token_id = kImage;
    options.media.audio_token_id = kAudio;
    options.media.has_blocks = true;
    options.media.max_bytes = 100;
    return options;
  }

  // Two tokens, `count` placeholders, a token. The rows are of `contents`.
  static EngineRequest Media(MediaKind kind, int count, char contents = 'a') {
    std::vector<int32_t> prompt = {3, 4};
    prompt.insert(prompt.end(), count, kind == MediaKind::kImage ? kImage : kAudio);
    prompt.push_back(7);
    EngineRequest request = Greedy(std::move(prompt), 2);
    RequestMedia media;
    media.soft_tokens =
        OwnSoftTokens(2, count, kind, DType::kBF16,
                      std::string(static_cast<size_t>(count) * kHidden * 2, contents));
    media.content_hash = std::string(RequestMedia::kContentHashBytes, contents);
    request.media = {std::move(media)};
    return request;
  }

  // Remembers the soft tokens of all steps. Call it before Start.
  void Watch() {
    model_.on_step = [this](const StepPlan& plan) {
      std::lock_guard<std::mutex> lock(mutex_);
      for (const SequenceStep& part : plan.sequences) {
        for (const SoftTokens& run : part.soft_tokens) seen_.push_back(run);
      }
      return absl::OkStatus();
    };
  }
  std::vector<SoftTokens> seen() {
    std::lock_guard<std::mutex> lock(mutex_);
    return seen_;
  }

 private:
  std::mutex mutex_;
  std::vector<SoftTokens> seen_;
};

TEST_F(MediaTest, SoftTokensReachTheModelOnce) {
  Watch();
  Start(MediaOptions());
  Reader reader(engine_.get());
  reader.Submit(1, Media(MediaKind::kImage, 5));
  EXPECT_THAT(reader.WaitFor(1).tokens, ElementsAre(8, 9));
  const std::vector<SoftTokens> seen = this->seen();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].position, 2);
  EXPECT_EQ(seen[0].count, 5);
  EXPECT_EQ(seen[0].dtype, DType::kBF16);
  EXPECT_EQ(seen[0].rows, std::string(20, 'a'));
}

TEST_F(MediaTest, EqualTextSharesPagesOnlyWithEqualMedia) {
  Start(MediaOptions());
  Reader reader(engine_.get());
  const auto cached = [&](uint64_t id, EngineRequest request) {
    reader.Submit(id, std::move(request));
    reader.WaitFor(id);
    return reader.WaitForStart(id).cached_tokens;
  };
  // Pages of 4: [0, 4) has the first two soft tokens.
  EXPECT_EQ(cached(1, Media(MediaKind::kAudio, 10)), 0);
  EXPECT_EQ(cached(2, Media(MediaKind::kAudio, 10)), 12);
  EXPECT_EQ(cached(3, Media(MediaKind::kAudio, 10, 'b')), 0);
  EXPECT_EQ(cached(4, Media(MediaKind::kImage, 10)), 0);
  EXPECT_EQ(cached(5, Media(MediaKind::kImage, 10)), 12);
}

TEST_F(MediaTest, WhatTheModelDoesNotTakeIsRefused) {
  Start();
  Reader reader(engine_.get());
  reader.Submit(1, Media(MediaKind::kImage, 5));
  const Story story = reader.WaitFor(1, EngineOutput::kAllCompletions);
  EXPECT_THAT(story.finish->status,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("the model takes none")));
}

TEST_F(MediaTest, AnImageThatNoStepHasRoomForIsRefused) {
  LeaderEngine::Options options = MediaOptions();
  options.scheduler.max_step_tokens = options.scheduler.max_running_sequences + 4;
  Start(options);
  Reader reader(engine_.get());
  reader.Submit(1, Media(MediaKind::kImage, 4));
  EXPECT_EQ(reader.WaitFor(1).tokens.size(), 2u);
  reader.Submit(2, Media(MediaKind::kImage, 5));
  EXPECT_THAT(reader.WaitFor(2, EngineOutput::kAllCompletions).finish->status,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("an image of 5 soft tokens at position 2: the model must compute "
                                 "it in one step, which has room for 4")));
  reader.Submit(3, Media(MediaKind::kAudio, 5));
  EXPECT_EQ(reader.WaitFor(3).tokens.size(), 2u);
}

TEST_F(MediaTest, PromptLogprobsAreRefusedWhereSoftTokensFormBlocks) {
  Start(MediaOptions());
  Reader reader(engine_.get());
  EngineRequest request = Media(MediaKind::kImage, 5);
  request.prompt_logprobs = 0;
  reader.Submit(1, request);
  EXPECT_THAT(reader.WaitFor(1, EngineOutput::kAllCompletions).finish->status,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("prompt_logprobs")));
}

TEST_F(MediaTest, TheSoftTokensOfAllRequestsAreBounded) {
  model_.Hold();
  Start(MediaOptions());
  Reader reader(engine_.get());
  reader.Submit(1, Media(MediaKind::kImage, 15));  // 60 of 100 bytes
  reader.Submit(2, Media(MediaKind::kImage, 11));
  const absl::Status refused = reader.WaitFor(2, EngineOutput::kAllCompletions).finish->status;
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted,
                                HasSubstr("have 60 bytes of soft tokens, at most 100; this one has "
                                          "44")));
  EXPECT_TRUE(RetryAfter(refused).has_value());
  reader.Submit(3, Media(MediaKind::kImage, 10));
  reader.Submit(4, Greedy({1, 2}, 1));  // text needs no room
  model_.Release();
  for (uint64_t id : {1, 3, 4}) EXPECT_EQ(reader.WaitFor(id).finish->reason, FinishReason::kLength);
  ASSERT_TRUE(EverythingIsFree());
  reader.Submit(5, Media(MediaKind::kImage, 25));
  EXPECT_EQ(reader.WaitFor(5).finish->reason, FinishReason::kLength);
  reader.Submit(6, Media(MediaKind::kImage, 26));
  EXPECT_THAT(reader.WaitFor(6, EngineOutput::kAllCompletions).finish->status,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("media have 104 bytes of soft tokens, must have at most 100")));
}

}  // namespace
}  // namespace facet
