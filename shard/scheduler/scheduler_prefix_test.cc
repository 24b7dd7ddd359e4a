// What the scheduler takes from the prefix cache, and when.

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shard/scheduler/scheduler.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::testing::ElementsAre;

constexpr absl::Time kStart = absl::UnixEpoch();

Scheduler::Options RoomyOptions() {
  Scheduler::Options options;
  options.max_step_tokens = 64;
  options.max_running_sequences = 8;
  options.max_queue = 16;
  options.page_tokens = 4;
  options.global_pages = 100;
  options.sliding_pages = 100;
  options.sliding_window = 8;
  options.max_context = 200;
  return options;
}

std::unique_ptr<Scheduler> MakeScheduler(const Scheduler::Options& options) {
  auto scheduler = Scheduler::Create(options);
  EXPECT_THAT(scheduler, IsOk());
  return *std::move(scheduler);
}

// Prompts of one salt share their first tokens.
SequenceRequest Request(int64_t id, int prompt_tokens, int max_new_tokens,
                        absl::string_view salt = "tenant") {
  SequenceRequest request;
  request.id = id;
  for (int i = 0; i < prompt_tokens; ++i) request.prompt.push_back(100 + i);
  request.max_new_tokens = max_new_tokens;
  request.block_hashes.emplace(/*page_tokens=*/4, salt);
  request.block_hashes->Extend(request.prompt);
  return request;
}

// Token 100 + position, so that what is generated continues the prompt.
void CommitAll(Scheduler& scheduler) {
  std::vector<NewToken> tokens;
  for (const LogitsRow& row : scheduler.rows()) {
    if (!row.is_prompt) tokens.push_back({row.sequence_id, 100 + row.position, false});
  }
  scheduler.Commit(tokens);
}

// The tokens that requests took from the cache, in the order of their start.
std::vector<int> RunToTheEnd(Scheduler& scheduler) {
  std::vector<int> cached;
  while (scheduler.Next(kStart).kind == StepPlan::Kind::kRun) {
    for (const StartedRequest& request : scheduler.TakeStarted()) {
      cached.push_back(request.cached_tokens);
    }
    CommitAll(scheduler);
  }
  return cached;
}

TEST(Prefix, OfAPromptIsTakenUpToTheTokenBeforeItsLast) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 40, 1), kStart), IsOk());
  EXPECT_THAT(RunToTheEnd(*scheduler), ElementsAre(0));
  EXPECT_EQ(scheduler->stats().global_pages_used, 0);
  EXPECT_EQ(scheduler->stats().global_pages_cached, 10);
  ASSERT_THAT(scheduler->Add(Request(2, 40, 1), kStart), IsOk());
  const StepPlan plan = scheduler->Next(kStart);
  EXPECT_EQ(plan.sequences[0].start_position, 36);
  EXPECT_EQ(plan.sequences[0].tokens.size(), 4);
  CommitAll(*scheduler);
  EXPECT_THAT(RunToTheEnd(*scheduler), ElementsAre());
  EXPECT_EQ(scheduler->TakeStarted().size(), 1);
  EXPECT_EQ(scheduler->stats().prefix_query_tokens, 80);
  EXPECT_EQ(scheduler->stats().prefix_hit_tokens, 36);
}

TEST(Prefix, HoldsWhatWasGenerated) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 20, 30), kStart), IsOk());
  EXPECT_THAT(RunToTheEnd(*scheduler), ElementsAre(0));
  ASSERT_THAT(scheduler->Add(Request(2, 60, 1), kStart), IsOk());  // the answer and a new question
  EXPECT_THAT(RunToTheEnd(*scheduler), ElementsAre(48));           // of 49 computed
}

TEST(Prefix, IsSharedWhileItsOwnerRuns) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 40, 20), kStart), IsOk());
  scheduler->Next(kStart);
  ASSERT_THAT(scheduler->Add(Request(2, 40, 20), kStart), IsOk());
  scheduler->PlanAhead(kStart);  // nothing is computed yet: it must not be found
  EXPECT_EQ(scheduler->stats().prefix_hit_tokens, 0);
  CommitAll(*scheduler);
  ASSERT_THAT(scheduler->Add(Request(3, 40, 20), kStart), IsOk());
  scheduler->Next(kStart);
  EXPECT_EQ(scheduler->stats().prefix_hit_tokens, 36);
  // Two of 10 pages, and one that shares 9 of the first's; and a page each to go on.
  EXPECT_EQ(scheduler->stats().global_pages_used, 10 + 10 + 1 + 1);
}

struct MissCase {
  std::string name;
  void (*change)(Scheduler::Options&, SequenceRequest&);
};
class PrefixMissTest : public ::testing::TestWithParam<MissCase> {};

TEST_P(PrefixMissTest, TakesNothing) {
  Scheduler::Options options = RoomyOptions();
  SequenceRequest second = Request(2, 40, 1);
  GetParam().change(options, second);
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 40, 1), kStart), IsOk());
  RunToTheEnd(*scheduler);
  ASSERT_THAT(scheduler->Add(second, kStart), IsOk());
  EXPECT_THAT(RunToTheEnd(*scheduler), ElementsAre(0));
}
INSTANTIATE_TEST_SUITE_P(
    Cases, PrefixMissTest,
    ::testing::ValuesIn(std::vector<MissCase>{
        {"no_hashes", [](Scheduler::Options&, SequenceRequest& r) { r.block_hashes.reset(); }},
        {"off", [](Scheduler::Options& o, SequenceRequest&) { o.enable_prefix_cache = false; }},
        {"prompt_rows", [](Scheduler::Options&, SequenceRequest& r) { r.prompt_logits = true; }},
        {"another_tenant",
         [](Scheduler::Options&, SequenceRequest& r) { r = Request(2, 40, 1, "another"); }},
    }),
    [](const auto& info) { return info.param.name; });

TEST(Prefix, IsTakenAgainAfterAPreemption) {
  Scheduler::Options options = RoomyOptions();
  options.max_running_sequences = 1;
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 40, 20), kStart), IsOk());
  for (int step = 0; step < 6; ++step) {
    scheduler->Next(kStart);
    CommitAll(*scheduler);
  }
  scheduler->SetPaused(1, true);
  ASSERT_THAT(scheduler->Add(Request(2, 10, 1, "another"), kStart), IsOk());
  scheduler->Next(kStart);  // takes the place of the paused one
  CommitAll(*scheduler);
  EXPECT_EQ(scheduler->stats().preemptions, 1);
  scheduler->SetPaused(1, false);
  const StepPlan plan = scheduler->Next(kStart);
  ASSERT_EQ(plan.sequences.size(), 1);
  EXPECT_EQ(plan.sequences[0].start_position, 44);  // of 45 computed
  EXPECT_EQ(plan.sequences[0].tokens.size(), 2);
}

// Pages that a hit takes are no longer there for the rest of the prompt.
TEST(Prefix, CountsInTheRoomOfANewcomer) {
  Scheduler::Options options = RoomyOptions();
  options.sliding_pages = 0;
  options.global_pages = 20;
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 40, 1), kStart), IsOk());
  RunToTheEnd(*scheduler);  // leaves 10 cached pages
  ASSERT_THAT(scheduler->Add(Request(2, 16, 20, "another"), kStart), IsOk());
  scheduler->Next(kStart);
  CommitAll(*scheduler);  // holds 4, so 16 are left; one of these is spare
  ASSERT_THAT(scheduler->Add(Request(3, 64, 1), kStart), IsOk());  // 16, of them 10 cached
  scheduler->Next(kStart);
  EXPECT_EQ(scheduler->stats().queued, 1);
  EXPECT_TRUE(scheduler->Cancel(3));
  CommitAll(*scheduler);
  ASSERT_THAT(scheduler->Add(Request(3, 56, 1), kStart), IsOk());  // 14
  scheduler->Next(kStart);
  EXPECT_EQ(scheduler->stats().queued, 0);
  EXPECT_EQ(scheduler->stats().prefix_hit_tokens, 40);
}

TEST(Prefix, IsEvictedForWhoeverNeedsThePages) {
  Scheduler::Options options = RoomyOptions();
  options.global_pages = options.sliding_pages = 30;
  options.max_context = 120;
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 80, 1), kStart), IsOk());
  RunToTheEnd(*scheduler);
  ASSERT_THAT(scheduler->Add(Request(2, 100, 1, "another"), kStart), IsOk());
  RunToTheEnd(*scheduler);
  EXPECT_GE(scheduler->stats().evictions, 15);
  EXPECT_EQ(scheduler->stats().preemptions, 0);
}

}  // namespace
}  // namespace facet
