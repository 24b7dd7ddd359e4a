#include "shard/scheduler/scheduler.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr absl::Time kStart = absl::UnixEpoch();

Scheduler::Options RoomyOptions() {
  Scheduler::Options options;
  options.max_step_tokens = 32;
  options.max_running_sequences = 8;
  options.max_queue = 16;
  options.page_tokens = 4;
  options.global_pages = 1000;
  options.sliding_pages = 1000;
  options.sliding_window = 8;
  options.max_context = 1000;
  return options;
}

std::unique_ptr<Scheduler> MakeScheduler(const Scheduler::Options& options) {
  auto scheduler = Scheduler::Create(options);
  EXPECT_THAT(scheduler, IsOk());
  return *std::move(scheduler);
}

SequenceRequest Request(int64_t id, int prompt_tokens, int max_new_tokens, int priority = 0) {
  SequenceRequest request;
  request.id = id;
  for (int i = 0; i < prompt_tokens; ++i) request.prompt.push_back(100 * id + i);
  request.max_new_tokens = max_new_tokens;
  request.priority = priority;
  return request;
}

// Commits a token for every row, none of which ends its sequence.
void CommitAll(Scheduler& scheduler) {
  std::vector<NewToken> tokens;
  for (const LogitsRow& row : scheduler.rows()) tokens.push_back({row.sequence_id, 7, false});
  scheduler.Commit(tokens);
}

// (sequence id, number of tokens) of each part.
std::vector<std::pair<int64_t, int>> Shape(const StepPlan& plan) {
  std::vector<std::pair<int64_t, int>> shape;
  for (const SequenceStep& s : plan.sequences) {
    shape.push_back({s.sequence_id, static_cast<int>(s.tokens.size())});
  }
  return shape;
}
using Part = std::pair<int64_t, int>;

std::vector<int64_t> Rows(const Scheduler& scheduler) {
  std::vector<int64_t> ids;
  for (const LogitsRow& row : scheduler.rows()) ids.push_back(row.sequence_id);
  return ids;
}

struct OptionsCase {
  std::string name;
  void (*change)(Scheduler::Options&);
  std::string message;
};
class SchedulerOptionsTest : public ::testing::TestWithParam<OptionsCase> {};

TEST_P(SchedulerOptionsTest, RefusesWithFieldValueAndLimit) {
  Scheduler::Options options = RoomyOptions();
  ASSERT_THAT(options.Validate(), IsOk());
  GetParam().change(options);
  EXPECT_THAT(options.Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
  EXPECT_THAT(Scheduler::Create(options), StatusIs(absl::StatusCode::kInvalidArgument));
}
using Options = Scheduler::Options;
INSTANTIATE_TEST_SUITE_P(
    Fields, SchedulerOptionsTest,
    ::testing::ValuesIn(std::vector<OptionsCase>{
        {"budget", [](Options& o) { o.max_step_tokens = 0; }, "max_step_tokens is 0"},
        {"running_zero", [](Options& o) { o.max_running_sequences = 0; },
         "max_running_sequences is 0, must be in [1, 32]"},
        {"running_beyond_budget", [](Options& o) { o.max_running_sequences = 33; },
         "max_running_sequences is 33, must be in [1, 32]"},
        {"queue", [](Options& o) { o.max_queue = 0; }, "max_queue is 0"},
        {"page", [](Options& o) { o.page_tokens = 0; }, "page_tokens is 0"},
        {"global", [](Options& o) { o.global_pages = -1; }, "global_pages is -1"},
        {"sliding", [](Options& o) { o.sliding_pages = -2; }, "sliding_pages is -2"},
        {"no_pool", [](Options& o) { o.global_pages = o.sliding_pages = 0; }, "both 0"},
        {"window", [](Options& o) { o.sliding_window = 0; }, "sliding_window is 0"},
        {"context", [](Options& o) { o.max_context = 1; }, "max_context is 1"},
        {"step_negative", [](Options& o) { o.priority_step = -absl::Seconds(1); }, "priority_step"},
        {"step_infinite", [](Options& o) { o.priority_step = absl::InfiniteDuration(); },
         "priority_step"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(SchedulerOptions, NeedNoWindowWithoutASlidingPool) {
  Scheduler::Options options = RoomyOptions();
  options.sliding_pages = 0;
  options.sliding_window = 0;
  EXPECT_THAT(options.Validate(), IsOk());
}

struct AddCase {
  std::string name;
  SequenceRequest request;
  absl::StatusCode code;
  std::string message;
};
class SchedulerAddTest : public ::testing::TestWithParam<AddCase> {};

TEST_P(SchedulerAddTest, AnswersWithTheNumbers) {
  Scheduler::Options options = RoomyOptions();
  options.max_context = 100;
  options.global_pages = 20;  // 80 positions
  auto scheduler = MakeScheduler(options);
  const absl::Status status = scheduler->Add(GetParam().request, kStart);
  EXPECT_THAT(status, StatusIs(GetParam().code, HasSubstr(GetParam().message)));
  EXPECT_EQ(scheduler->stats().queued, status.ok() ? 1 : 0);
}
INSTANTIATE_TEST_SUITE_P(
    Requests, SchedulerAddTest,
    ::testing::ValuesIn(std::vector<AddCase>{
        {"plain", Request(1, 10, 10), absl::StatusCode::kOk, ""},
        {"empty_prompt", Request(1, 0, 10), absl::StatusCode::kInvalidArgument, "no tokens"},
        {"prompt_fills_the_context", Request(1, 100, 1), absl::StatusCode::kInvalidArgument,
         "the prompt has 100 tokens, which leaves no room to generate in the context of 100"},
        {"prompt_beyond_the_context", Request(1, 150, 1), absl::StatusCode::kInvalidArgument,
         "150"},
        {"nothing_to_generate", Request(1, 10, 0), absl::StatusCode::kInvalidArgument,
         "max_new_tokens is 0"},
        {"priority", Request(1, 10, 1, 101), absl::StatusCode::kInvalidArgument,
         "priority is 101, must be in [-100, 100]"},
        {"fits_the_pages_exactly", Request(1, 61, 20), absl::StatusCode::kOk, ""},
        {"a_page_too_long", Request(1, 61, 21), absl::StatusCode::kInvalidArgument,
         "may need 21 global and 3 sliding KV pages; there are 20 and 1000"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(Scheduler, RefusesWhenTheQueueIsFull) {
  Scheduler::Options options = RoomyOptions();
  options.max_queue = 2;
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 4, 4), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 4, 4), kStart), IsOk());
  EXPECT_THAT(scheduler->Add(Request(3, 4, 4), kStart),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("2 requests wait"), HasSubstr("limit is 2"))));
  scheduler->Next(kStart);
  CommitAll(*scheduler);
  EXPECT_THAT(scheduler->Add(Request(3, 4, 4), kStart), IsOk());
}

TEST(Scheduler, RefusesAnIdThatIsLive) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 4, 1), kStart), IsOk());
  EXPECT_THAT(scheduler->Add(Request(1, 4, 1), kStart),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("sequence 1")));
  scheduler->Next(kStart);
  CommitAll(*scheduler);  // its only token
  EXPECT_THAT(scheduler->Add(Request(1, 4, 1), kStart), IsOk());
}

TEST(Scheduler, IsIdleWithNothingToDoAndCountsItsSteps) {
  auto scheduler = MakeScheduler(RoomyOptions());
  for (int step = 1; step <= 3; ++step) {
    const StepPlan plan = scheduler->Next(kStart);
    EXPECT_EQ(plan.kind, StepPlan::Kind::kIdle);
    EXPECT_EQ(plan.step, step);
    EXPECT_THAT(plan.sequences, IsEmpty());
    EXPECT_THAT(Rows(*scheduler), IsEmpty());
  }
}

TEST(Scheduler, FeedsAPromptThenEachNewToken) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(3, 5, 3), kStart), IsOk());
  StepPlan plan = scheduler->Next(kStart);
  ASSERT_EQ(plan.sequences.size(), 1);
  EXPECT_EQ(plan.kind, StepPlan::Kind::kRun);
  EXPECT_THAT(plan.sequences[0].tokens, ElementsAre(300, 301, 302, 303, 304));
  EXPECT_EQ(plan.sequences[0].start_position, 0);
  EXPECT_EQ(plan.sequences[0].logits_from, 4);
  EXPECT_EQ(plan.sequences[0].global_pages.size(), 2);
  EXPECT_THAT(Rows(*scheduler), ElementsAre(3));
  scheduler->Commit({{3, 41, false}});

  plan = scheduler->Next(kStart);
  EXPECT_THAT(plan.sequences[0].tokens, ElementsAre(41));
  EXPECT_EQ(plan.sequences[0].start_position, 5);
  EXPECT_EQ(plan.sequences[0].logits_from, 0);
  scheduler->Commit({{3, 42, false}});

  plan = scheduler->Next(kStart);
  EXPECT_THAT(plan.sequences[0].tokens, ElementsAre(42));
  scheduler->Commit({{3, 43, false}});  // the third of three
  EXPECT_EQ(scheduler->Next(kStart).kind, StepPlan::Kind::kIdle);
  EXPECT_EQ(scheduler->stats().global_pages_used, 0);
  EXPECT_EQ(scheduler->stats().sliding_pages_used, 0);
}

TEST(Scheduler, EndsASequenceThatItsCallerCallsFinished) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(3, 5, 100), kStart), IsOk());
  scheduler->Next(kStart);
  scheduler->Commit({{3, 1, true}});
  EXPECT_EQ(scheduler->Next(kStart).kind, StepPlan::Kind::kIdle);
  EXPECT_EQ(scheduler->stats().running, 0);
}

TEST(Scheduler, CutsALongPromptIntoChunksOfWhichTheLastYieldsLogits) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 75, 5), kStart), IsOk());
  const std::vector<int> starts = {0, 32, 64};
  const std::vector<int> sizes = {32, 32, 11};
  for (int i = 0; i < 3; ++i) {
    const StepPlan plan = scheduler->Next(kStart);
    ASSERT_EQ(plan.sequences.size(), 1);
    const SequenceStep& part = plan.sequences[0];
    EXPECT_EQ(part.start_position, starts[i]);
    EXPECT_EQ(part.tokens.size(), sizes[i]);
    EXPECT_EQ(part.tokens[0], 100 + starts[i]);
    EXPECT_EQ(part.logits_from, i < 2 ? sizes[i] : sizes[i] - 1);
    EXPECT_EQ(scheduler->rows().size(), i < 2 ? 0 : 1);
    CommitAll(*scheduler);
  }
}

struct ContextCase {
  std::string name;
  int prompt_tokens;
  int max_new_tokens;
  int generated;
};
class SchedulerContextTest : public ::testing::TestWithParam<ContextCase> {};

TEST_P(SchedulerContextTest, GeneratesUpToTheContextAndNoFurther) {
  Scheduler::Options options = RoomyOptions();
  options.max_context = 40;
  options.global_pages = 10;  // 40 positions: no spare one
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(
      scheduler->Add(Request(1, GetParam().prompt_tokens, GetParam().max_new_tokens), kStart),
      IsOk());
  int generated = 0;
  for (StepPlan plan = scheduler->Next(kStart); plan.kind == StepPlan::Kind::kRun;
       plan = scheduler->Next(kStart)) {
    for (const SequenceStep& part : plan.sequences) {
      EXPECT_LT(part.start_position + part.tokens.size(), 40);  // the last token is not fed back
    }
    generated += scheduler->rows().size();
    CommitAll(*scheduler);
  }
  EXPECT_EQ(generated, GetParam().generated);
}
INSTANTIATE_TEST_SUITE_P(Lengths, SchedulerContextTest,
                         ::testing::ValuesIn(std::vector<ContextCase>{
                             {"to_the_last_token", 10, 30, 30},
                             {"one_less", 10, 29, 29},
                             {"more_than_there_is_room_for", 10, 1000000, 30},
                             {"most_that_an_int_holds", 10, 2147483647, 30},
                             {"room_for_one", 39, 5, 1},
                             {"one_of_one", 1, 39, 39},
                         }),
                         [](const auto& info) { return info.param.name; });

TEST(Scheduler, PutsDecodesFirstAndPromptsInWhatIsLeft) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 4, 50), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 4, 50), kStart), IsOk());
  scheduler->Next(kStart);
  CommitAll(*scheduler);
  ASSERT_THAT(scheduler->Add(Request(3, 500, 5, /*priority=*/50), kStart), IsOk());
  for (int step = 0; step < 10; ++step) {
    // The prompt is first in order, yet the decodes advance in each step.
    EXPECT_THAT(Shape(scheduler->Next(kStart)), ElementsAre(Part{1, 1}, Part{2, 1}, Part{3, 30}));
    EXPECT_THAT(Rows(*scheduler), ElementsAre(1, 2));
    CommitAll(*scheduler);
  }
}

TEST(Scheduler, ShortPromptsNeedNotWaitForALongOne) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 500, 5), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 6, 5), kStart), IsOk());
  // Half for the first, all that the second needs, and the rest for the first.
  EXPECT_THAT(Shape(scheduler->Next(kStart)), ElementsAre(Part{1, 26}, Part{2, 6}));
  EXPECT_THAT(Rows(*scheduler), ElementsAre(2));
  CommitAll(*scheduler);
  EXPECT_THAT(Shape(scheduler->Next(kStart)), ElementsAre(Part{2, 1}, Part{1, 31}));
}

TEST(Scheduler, SeveralLongPromptsShareFallingHalves) {
  auto scheduler = MakeScheduler(RoomyOptions());
  for (int id = 1; id <= 6; ++id) {
    ASSERT_THAT(scheduler->Add(Request(id, 100, 5), kStart), IsOk());
  }
  EXPECT_THAT(Shape(scheduler->Next(kStart)),
              ElementsAre(Part{1, 16}, Part{2, 8}, Part{3, 4}, Part{4, 4}));  // not below a page
}

TEST(Scheduler, ManyShortPromptsDoNotStarveALongOne) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 400, 1), kStart), IsOk());
  int64_t next_id = 2;
  int steps = 0;
  for (bool done = false; !done && steps < 100; ++steps) {
    while (scheduler->stats().queued < 10) {
      ASSERT_THAT(scheduler->Add(Request(next_id++, 20, 4), kStart), IsOk());
    }
    const StepPlan plan = scheduler->Next(kStart);
    const std::vector<int64_t> rows = Rows(*scheduler);
    done = std::count(rows.begin(), rows.end(), 1) == 1;
    EXPECT_THAT(Shape(plan), Contains(::testing::Key(1)));
    CommitAll(*scheduler);
  }
  // At least half of what 7 decodes leave of 32 tokens: 13 a step.
  EXPECT_LE(steps, 400 / 13 + 1);
}

TEST(Scheduler, ServesPriorityThenArrival) {
  Scheduler::Options options = RoomyOptions();
  options.max_running_sequences = 1;
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 4, 1, 0), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 4, 1, 5), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(3, 4, 1, -5), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(4, 4, 1, 5), kStart), IsOk());
  std::vector<int64_t> order;
  for (int i = 0; i < 4; ++i) {
    order.push_back(scheduler->Next(kStart).sequences[0].sequence_id);
    CommitAll(*scheduler);
  }
  EXPECT_THAT(order, ElementsAre(2, 4, 1, 3));
}

TEST(Scheduler, OneLevelOfPriorityIsWorthAStepOfWaiting) {
  Scheduler::Options options = RoomyOptions();
  options.max_running_sequences = 1;
  options.priority_step = absl::Seconds(10);
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 4, 1, 0), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 4, 1, 2), kStart + absl::Seconds(21)), IsOk());
  ASSERT_THAT(scheduler->Add(Request(3, 4, 1, 3), kStart + absl::Seconds(21)), IsOk());
  std::vector<int64_t> order;
  for (int i = 0; i < 3; ++i) {
    order.push_back(scheduler->Next(kStart + absl::Seconds(22)).sequences[0].sequence_id);
    CommitAll(*scheduler);
  }
  EXPECT_THAT(order, ElementsAre(3, 1, 2));
}

TEST(Scheduler, AStreamOfHigherPriorityDoesNotStarveALowOne) {
  Scheduler::Options options = RoomyOptions();
  options.max_running_sequences = 1;
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 4, 1, -100), kStart), IsOk());
  absl::Time now = kStart;
  int64_t next_id = 2;
  while (scheduler->stats().queued > 0 && now < kStart + absl::Seconds(3000)) {
    if (scheduler->stats().queued < 3) {
      ASSERT_THAT(scheduler->Add(Request(next_id++, 4, 1, 100), now), IsOk());
    }
    const StepPlan plan = scheduler->Next(now);
    const bool served = plan.sequences[0].sequence_id == 1;
    CommitAll(*scheduler);
    if (served) break;
    now += absl::Seconds(1);
  }
  EXPECT_LE(now, kStart + absl::Seconds(2010));  // 200 levels of 10 s, and those before it
  EXPECT_GE(now, kStart + absl::Seconds(1990));
}

TEST(Scheduler, AClockThatStepsBackDoesNotChangeTheOrder) {
  Scheduler::Options options = RoomyOptions();
  options.max_running_sequences = 1;
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 4, 1), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 4, 1), kStart - absl::Hours(1)), IsOk());
  EXPECT_EQ(scheduler->Next(kStart).sequences[0].sequence_id, 1);
}

// Two sequences outgrow the global pool: the later one gives way.
Scheduler::Options TightOptions() {
  Scheduler::Options options = RoomyOptions();
  options.global_pages = 8;  // 32 positions
  options.max_context = 33;
  return options;
}

TEST(Scheduler, PreemptsTheLatestAndComputesItAgainWithItsTokens) {
  auto scheduler = MakeScheduler(TightOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 9, 20), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 9, 20), kStart), IsOk());
  std::vector<int32_t> known = Request(2, 9, 0).prompt;
  int32_t next_token = 50;
  int generated_by_first = 0;
  bool recomputed = false;
  int last_start = -1;
  for (StepPlan plan = scheduler->Next(kStart); plan.kind == StepPlan::Kind::kRun;
       plan = scheduler->Next(kStart)) {
    if (generated_by_first < 20) {
      EXPECT_THAT(Shape(plan), Contains(::testing::Key(1)));
    }
    for (const SequenceStep& part : plan.sequences) {
      if (part.sequence_id != 2) continue;
      if (part.start_position == 0 && last_start > 0) recomputed = true;
      last_start = part.start_position;
      for (size_t i = 0; i < part.tokens.size(); ++i) {
        EXPECT_EQ(part.tokens[i], known[part.start_position + i]);
      }
    }
    std::vector<NewToken> tokens;
    for (const int64_t id : Rows(*scheduler)) {
      tokens.push_back({id, next_token++, false});
      if (id == 1) ++generated_by_first;
      if (id == 2) known.push_back(tokens.back().token);
    }
    scheduler->Commit(tokens);
  }
  EXPECT_TRUE(recomputed);
  EXPECT_EQ(known.size(), 9 + 20);
  EXPECT_EQ(scheduler->stats().preemptions, 1);
  EXPECT_GE(scheduler->stats().recomputed_tokens, 9);
  EXPECT_EQ(scheduler->stats().global_pages_used, 0);
}

TEST(Scheduler, PreemptsTheLowestPriorityEvenIfItCameFirst) {
  auto scheduler = MakeScheduler(TightOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 9, 20, 0), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 9, 20, 1), kStart), IsOk());
  while (scheduler->stats().preemptions == 0) {
    ASSERT_EQ(scheduler->Next(kStart).kind, StepPlan::Kind::kRun);
    CommitAll(*scheduler);
  }
  EXPECT_THAT(Shape(scheduler->Next(kStart)), ElementsAre(Part{2, 1}));
}

TEST(Scheduler, ANewcomerWaitsForRoomAndNobodyOvertakesIt) {
  Scheduler::Options options = TightOptions();
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 16, 8), kStart), IsOk());
  ASSERT_THAT(Shape(scheduler->Next(kStart)), ElementsAre(Part{1, 16}));
  CommitAll(*scheduler);
  ASSERT_THAT(scheduler->Add(Request(2, 24, 4), kStart), IsOk());  // 6 pages of the 4 free ones
  ASSERT_THAT(scheduler->Add(Request(3, 2, 4), kStart), IsOk());   // would fit
  for (int i = 0; i < 7; ++i) {
    EXPECT_THAT(Shape(scheduler->Next(kStart)), ElementsAre(Part{1, 1}));
    CommitAll(*scheduler);
  }
  EXPECT_EQ(scheduler->stats().preemptions, 0);
  EXPECT_THAT(Shape(scheduler->Next(kStart)), Contains(Part{2, 24}));
}

TEST(Scheduler, CancelFreesPagesAtOnceInEveryState) {
  Scheduler::Options options = RoomyOptions();
  options.max_running_sequences = 2;
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 4, 10), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 300, 10), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(3, 4, 10), kStart), IsOk());
  scheduler->Next(kStart);
  CommitAll(*scheduler);
  EXPECT_TRUE(scheduler->Cancel(3));  // queued
  EXPECT_EQ(scheduler->stats().queued, 0);
  EXPECT_TRUE(scheduler->Cancel(2));  // amid its prompt
  EXPECT_EQ(scheduler->stats().global_pages_used, 1);
  EXPECT_TRUE(scheduler->Cancel(1));  // decoding
  EXPECT_EQ(scheduler->stats().global_pages_used, 0);
  EXPECT_EQ(scheduler->stats().sliding_pages_used, 0);
  EXPECT_EQ(scheduler->stats().running, 0);
  EXPECT_FALSE(scheduler->Cancel(1));
  EXPECT_FALSE(scheduler->Cancel(99));
  EXPECT_EQ(scheduler->Next(kStart).kind, StepPlan::Kind::kIdle);
}

TEST(Scheduler, CancelDuringAStepLeavesTheOthersTheirTokens) {
  auto scheduler = MakeScheduler(RoomyOptions());
  for (int id = 1; id <= 3; ++id) {
    ASSERT_THAT(scheduler->Add(Request(id, 4, 10), kStart), IsOk());
  }
  scheduler->Next(kStart);
  EXPECT_TRUE(scheduler->Cancel(2));
  EXPECT_EQ(scheduler->stats().running, 2);
  scheduler->Commit({{1, 11, false}, {2, 12, false}, {3, 13, false}});  // with its token
  StepPlan plan = scheduler->Next(kStart);
  EXPECT_THAT(Shape(plan), ElementsAre(Part{1, 1}, Part{3, 1}));
  EXPECT_TRUE(scheduler->Cancel(1));
  scheduler->Commit({{3, 14, false}});  // without it
  plan = scheduler->Next(kStart);
  EXPECT_THAT(plan.sequences[0].tokens, ElementsAre(14));
}

TEST(Scheduler, ATokenOfACancelledSequenceDoesNotReachItsSuccessorOfTheSameId) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 4, 10), kStart), IsOk());
  scheduler->Next(kStart);
  EXPECT_TRUE(scheduler->Cancel(1));
  SequenceRequest successor = Request(1, 6, 10);
  ASSERT_THAT(scheduler->Add(successor, kStart), IsOk());
  scheduler->Commit({{1, 99, false}});
  const StepPlan plan = scheduler->Next(kStart);
  EXPECT_EQ(plan.sequences[0].start_position, 0);
  EXPECT_EQ(plan.sequences[0].tokens, successor.prompt);
}

TEST(Scheduler, EndsWhatExpiresInTheQueueAndWhileRunning) {
  Scheduler::Options options = RoomyOptions();
  options.max_running_sequences = 1;
  auto scheduler = MakeScheduler(options);
  SequenceRequest running = Request(1, 4, 100), queued = Request(2, 4, 100);
  SequenceRequest patient = Request(3, 4, 100);
  running.deadline = kStart + absl::Seconds(2);
  queued.deadline = kStart + absl::Seconds(1);
  ASSERT_THAT(scheduler->Add(running, kStart), IsOk());
  ASSERT_THAT(scheduler->Add(queued, kStart), IsOk());
  ASSERT_THAT(scheduler->Add(patient, kStart), IsOk());
  scheduler->Next(kStart);
  CommitAll(*scheduler);
  EXPECT_THAT(scheduler->TakeExpired(), IsEmpty());
  EXPECT_THAT(Shape(scheduler->Next(kStart + absl::Seconds(1))), ElementsAre(Part{1, 1}));
  EXPECT_THAT(scheduler->TakeExpired(), ElementsAre(2));
  CommitAll(*scheduler);
  EXPECT_THAT(Shape(scheduler->Next(kStart + absl::Seconds(2))), ElementsAre(Part{3, 4}));
  EXPECT_THAT(scheduler->TakeExpired(), ElementsAre(1));
  EXPECT_THAT(scheduler->TakeExpired(), IsEmpty());
  CommitAll(*scheduler);
  EXPECT_EQ(scheduler->stats().global_pages_used, 1);
  EXPECT_FALSE(scheduler->Cancel(1));
}

TEST(Scheduler, RefusesADeadlineThatHasPassed) {
  auto scheduler = MakeScheduler(RoomyOptions());
  SequenceRequest request = Request(1, 4, 4);
  request.deadline = kStart;
  EXPECT_THAT(scheduler->Add(request, kStart), StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST(Scheduler, ReusesSlidingPagesBehindTheWindow) {
  Scheduler::Options options = RoomyOptions();
  options.sliding_pages = 3;  // a window of 8 over pages of 4 touches 3
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 100, 50), kStart), IsOk());
  int generated = 0;
  for (StepPlan plan = scheduler->Next(kStart); plan.kind == StepPlan::Kind::kRun;
       plan = scheduler->Next(kStart)) {
    generated += scheduler->rows().size();
    const SequenceStep& part = plan.sequences[0];
    const int end = part.start_position + part.tokens.size();
    for (int key = std::max(0, part.start_position - 7); key < end; ++key) {
      EXPECT_GE(part.sliding_pages[key / 4], 0);
    }
    CommitAll(*scheduler);
  }
  EXPECT_EQ(generated, 50);
}

TEST(Scheduler, LeavesTheTableOfAPoolThatIsOffEmpty) {
  Scheduler::Options options = RoomyOptions();
  options.sliding_pages = 0;
  auto global_only = MakeScheduler(options);
  ASSERT_THAT(global_only->Add(Request(1, 20, 5), kStart), IsOk());
  StepPlan plan = global_only->Next(kStart);
  EXPECT_EQ(plan.sequences[0].global_pages.size(), 5);
  EXPECT_THAT(plan.sequences[0].sliding_pages, IsEmpty());

  options = RoomyOptions();
  options.global_pages = 0;
  options.sliding_pages = 10;
  auto sliding_only = MakeScheduler(options);
  ASSERT_THAT(sliding_only->Add(Request(1, 900, 50), kStart), IsOk());  // the window fits
  plan = sliding_only->Next(kStart);
  EXPECT_THAT(plan.sequences[0].global_pages, IsEmpty());
  EXPECT_THAT(plan.sequences[0].sliding_pages, Not(IsEmpty()));
}

TEST(SchedulerDeathTest, HoldsItsCallerToTheProtocol) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 4, 10), kStart), IsOk());
  scheduler->Next(kStart);
  EXPECT_DEATH(scheduler->Next(kStart), "step 1 was not committed");
  EXPECT_DEATH(scheduler->Commit({}), "no token for sequence 1");
  EXPECT_DEATH(scheduler->Commit({{1, 5, false}, {2, 5, false}}),
               "unexpected token for sequence 2");
}

}  // namespace
}  // namespace facet
