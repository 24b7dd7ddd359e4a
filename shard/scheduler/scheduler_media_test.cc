// Soft tokens: which steps they travel with, and blocks that one step must compute whole.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shard/scheduler/scheduler.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::Time kStart = absl::UnixEpoch();
constexpr int kPageTokens = 4;

Scheduler::Options RoomyOptions() {
  Scheduler::Options options;
  options.max_step_tokens = 64;
  options.max_running_sequences = 8;
  options.max_queue = 16;
  options.page_tokens = kPageTokens;
  options.global_pages = 200;
  options.sliding_pages = 200;
  options.sliding_window = 8;
  options.max_context = 400;
  return options;
}

std::unique_ptr<Scheduler> MakeScheduler(const Scheduler::Options& options) {
  auto scheduler = Scheduler::Create(options);
  EXPECT_THAT(scheduler, IsOk());
  return *std::move(scheduler);
}

// Two bytes a row: the contents and the row's number.
SoftTokens Soft(int position, int count, MediaKind kind = MediaKind::kImage, char contents = 'a') {
  std::string rows;
  for (int i = 0; i < count; ++i) {
    rows.push_back(contents);
    rows.push_back(static_cast<char>(i));
  }
  return OwnSoftTokens(position, count, kind, DType::kBF16, std::move(rows));
}

// Of a model with blocks.
SequenceRequest Request(int64_t id, int prompt_tokens, const std::vector<SoftTokens>& soft_tokens) {
  SequenceRequest request;
  request.id = id;
  for (int i = 0; i < prompt_tokens; ++i) request.prompt.push_back(100 + i);
  request.max_new_tokens = 2;
  auto media = std::make_shared<PromptMedia>();
  media->soft_tokens = soft_tokens;
  media->unsplit = BlocksOf(soft_tokens);
  std::vector<MediaSpan> hashed = media->unsplit;
  for (size_t i = 0; i < hashed.size(); ++i) {
    hashed[i].content_hash = std::string(soft_tokens[i].rows.substr(0, 1));
  }
  request.media = std::move(media);
  request.block_hashes.emplace(kPageTokens, "tenant", std::move(hashed));
  request.block_hashes->Extend(request.prompt);
  return request;
}

void CommitAll(Scheduler& scheduler) {
  std::vector<NewToken> tokens;
  for (const LogitsRow& row : scheduler.rows()) {
    if (!row.is_prompt) tokens.push_back({row.sequence_id, 100 + row.position, false});
  }
  scheduler.Commit(tokens);
}

// "start+tokens" of each part of the next step.
std::vector<std::string> Step(Scheduler& scheduler) {
  const StepPlan plan = scheduler.Next(kStart);
  std::vector<std::string> parts;
  for (const SequenceStep& part : plan.sequences) {
    parts.push_back(
        absl::StrCat(part.sequence_id, ": ", part.start_position, "+", part.tokens.size()));
  }
  if (plan.kind == StepPlan::Kind::kRun) CommitAll(scheduler);
  return parts;
}

TEST(Blocks, AreTheLongestRunsOfPicturesAndFrames) {
  const auto blocks = BlocksOf({Soft(2, 3), Soft(5, 2, MediaKind::kVideo), Soft(8, 2),
                                Soft(10, 4, MediaKind::kAudio), Soft(14, 1)});
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks[0].start, 2);
  EXPECT_EQ(blocks[0].tokens, 5);
  EXPECT_EQ(blocks[1].start, 8);
  EXPECT_EQ(blocks[1].tokens, 2);
  EXPECT_EQ(blocks[2].start, 14);
}

TEST(Blocks, AreNotCutByTheEndOfAStep) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 120, {Soft(50, 30), Soft(81, 10)}), kStart), IsOk());
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 0+50"));
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 50+64"));  // both fit
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 114+6"));
}

TEST(Blocks, ThatEndWithTheStepAreTakenWhole) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 100, {Soft(54, 10), Soft(70, 30)}), kStart), IsOk());
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 0+64"));
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 64+36"));
}

TEST(Blocks, TakeMoreThanTheirShareOfAStep) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 100, {Soft(0, 40)}), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 100, {}), kStart), IsOk());
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 0+40", "2: 0+24"));
}

TEST(Blocks, ThatFoundNoRoomGetItInTheNextStepBesideALongPrompt) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 300, {}), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 70, {Soft(0, 56)}), kStart), IsOk());
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 0+64"));  // half, and what the other cannot use
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 64+4", "2: 0+60"));
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 68+54", "2: 60+10"));
}

TEST(Blocks, AreLeftRoomAlsoByAPlanAhead) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 300, {}), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 70, {Soft(0, 56)}), kStart), IsOk());
  scheduler->Next(kStart);
  scheduler->PlanAhead(kStart);
  CommitAll(*scheduler);
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 64+8", "2: 0+56"));
}

TEST(Blocks, OfTheFirstPromptComeBeforeThoseThatWait) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 130, {Soft(10, 50), Soft(61, 50)}), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 70, {Soft(0, 56)}), kStart), IsOk());
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 0+61"));
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 61+64"));
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 125+4", "2: 0+60"));
}

TEST(Blocks, LongerThanAStepHasRoomForAreRefused) {
  auto scheduler = MakeScheduler(RoomyOptions());
  EXPECT_THAT(scheduler->Add(Request(1, 100, {Soft(5, 56)}), kStart), IsOk());
  EXPECT_THAT(scheduler->Add(Request(2, 100, {Soft(5, 57)}), kStart),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("position 5 has 57; one step, which must compute it whole, has "
                                 "room for 56")));
}

TEST(Blocks, NeedPagesForAllOfThemAtOnce) {
  Scheduler::Options options = RoomyOptions();
  options.sliding_pages = 13;
  auto scheduler = MakeScheduler(options);
  EXPECT_THAT(scheduler->Add(Request(1, 100, {Soft(5, 43)}), kStart),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("14 sliding KV pages")));
  EXPECT_THAT(scheduler->Add(Request(1, 100, {Soft(5, 40)}), kStart), IsOk());
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 0+52"));  // as many as 13 pages hold
  EXPECT_THAT(Step(*scheduler), ElementsAre("1: 52+44"));
}

TEST(Blocks, AreTheReasonToRefuseRowsOfThePrompt) {
  auto scheduler = MakeScheduler(RoomyOptions());
  SequenceRequest request = Request(1, 100, {Soft(5, 20)});
  request.prompt_logits = true;
  EXPECT_THAT(scheduler->Add(request, kStart),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("both ways")));
}

struct BadMediaCase {
  std::string name;
  std::vector<SoftTokens> soft_tokens;
  std::string message;
};
class BadMediaTest : public ::testing::TestWithParam<BadMediaCase> {};

TEST_P(BadMediaTest, IsRefusedWithItsPlace) {
  auto scheduler = MakeScheduler(RoomyOptions());
  SequenceRequest request = Request(1, 20, {});
  auto media = std::make_shared<PromptMedia>();
  media->soft_tokens = GetParam().soft_tokens;
  request.media = media;
  EXPECT_THAT(scheduler->Add(request, kStart),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}
INSTANTIATE_TEST_SUITE_P(Places, BadMediaTest,
                         ::testing::ValuesIn(std::vector<BadMediaCase>{
                             {"behind_the_prompt",
                              {Soft(15, 6)},
                              "soft tokens at positions [15, 21), must lie in [0, 20)"},
                             {"before_it", {Soft(-1, 6)}, "[-1, 5), must lie in [0, 20)"},
                             {"overlap", {Soft(1, 6), Soft(6, 2)}, "[6, 8), must lie in [7, 20)"},
                             {"none", {Soft(3, 0)}, "[3, 3)"},
                         }),
                         [](const auto& info) { return info.param.name; });

TEST(SoftTokens, TravelWithTheStepsThatComputeThem) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(
      scheduler->Add(Request(1, 140, {Soft(10, 20), Soft(60, 30, MediaKind::kAudio)}), kStart),
      IsOk());
  StepPlan plan = scheduler->Next(kStart);  // [0, 64)
  ASSERT_EQ(plan.sequences[0].soft_tokens.size(), 2u);
  EXPECT_EQ(plan.sequences[0].soft_tokens[0].count, 20);
  EXPECT_EQ(plan.sequences[0].soft_tokens[1].position, 60);
  EXPECT_EQ(plan.sequences[0].soft_tokens[1].count, 4);  // a clip may be cut
  CommitAll(*scheduler);
  scheduler->Recycle(std::move(plan));
  plan = scheduler->Next(kStart);  // [64, 128)
  ASSERT_EQ(plan.sequences[0].soft_tokens.size(), 1u);
  EXPECT_EQ(plan.sequences[0].soft_tokens[0].position, 64);
  EXPECT_EQ(plan.sequences[0].soft_tokens[0].rows, Soft(0, 30).rows.substr(2 * 4));
  CommitAll(*scheduler);
  scheduler->Recycle(std::move(plan));
  plan = scheduler->Next(kStart);
  EXPECT_TRUE(plan.sequences[0].soft_tokens.empty());
}

TEST(SoftTokens, TravelAgainAfterAPreemption) {
  Scheduler::Options options = RoomyOptions();
  options.global_pages = 27;
  options.enable_prefix_cache = false;
  auto scheduler = MakeScheduler(options);
  SequenceRequest first = Request(1, 40, {}), second = Request(2, 40, {Soft(10, 20)});
  first.max_new_tokens = second.max_new_tokens = 40;
  ASSERT_THAT(scheduler->Add(first, kStart), IsOk());
  ASSERT_THAT(scheduler->Add(second, kStart), IsOk());
  int travelled = 0;
  while (true) {
    const StepPlan plan = scheduler->Next(kStart);
    if (plan.kind == StepPlan::Kind::kIdle) break;
    for (const SequenceStep& part : plan.sequences) {
      for (const SoftTokens& run : part.soft_tokens) {
        EXPECT_EQ(part.sequence_id, 2);
        EXPECT_EQ(run.count, 20);
        EXPECT_EQ(run.rows, Soft(10, 20).rows);
        ++travelled;
      }
    }
    CommitAll(*scheduler);
  }
  EXPECT_GE(scheduler->stats().preemptions, 1);
  EXPECT_EQ(travelled, 1 + scheduler->stats().preemptions);
}

// Cached tokens of a request that comes after another one has ended.
int CachedAfter(const SequenceRequest& before, SequenceRequest request) {
  auto scheduler = MakeScheduler(RoomyOptions());
  EXPECT_THAT(scheduler->Add(before, kStart), IsOk());
  while (!Step(*scheduler).empty()) {
  }
  scheduler->TakeStarted();
  EXPECT_THAT(scheduler->Add(std::move(request), kStart), IsOk());
  while (!Step(*scheduler).empty()) {
  }
  const auto started = scheduler->TakeStarted();
  return started.empty() ? -1 : started[0].cached_tokens;
}

TEST(Prefix, HoldsPicturesOfEqualContents) {
  EXPECT_EQ(CachedAfter(Request(1, 60, {Soft(10, 20)}), Request(2, 60, {Soft(10, 20)})), 56);
}

TEST(Prefix, OfAnotherPictureEndsBeforeIt) {
  const SoftTokens other = Soft(10, 20, MediaKind::kImage, 'b');
  EXPECT_EQ(CachedAfter(Request(1, 60, {Soft(10, 20)}), Request(2, 60, {other})), 8);
}

TEST(Prefix, NeverEndsInABlock) {
  // Equal up to position 27 of a picture that ends at 30: the one prompt is cut off there.
  const SequenceRequest whole = Request(1, 60, {Soft(10, 20)});
  SequenceRequest cut = Request(2, 30, {Soft(10, 20)});  // its last page is not full
  EXPECT_EQ(CachedAfter(whole, cut), 8);
}

TEST(Prefix, MayEndInAClip) {
  SequenceRequest whole = Request(1, 60, {Soft(10, 20, MediaKind::kAudio)});
  SequenceRequest cut = Request(2, 30, {Soft(10, 20, MediaKind::kAudio)});
  for (SequenceRequest* request : {&whole, &cut}) {
    request->block_hashes.emplace(kPageTokens, "tenant",
                                  std::vector<MediaSpan>{{10, 20, "contents"}});
    request->block_hashes->Extend(request->prompt);
  }
  EXPECT_EQ(CachedAfter(whole, cut), 28);
}

}  // namespace
}  // namespace facet
