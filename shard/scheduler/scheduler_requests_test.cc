// What a request may ask for beyond one completion: n of them, log-probabilities of its prompt, a
// pause; and what the caller hears of it.

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "shard/scheduler/scheduler.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

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

SequenceRequest Request(int64_t id, int prompt_tokens, int max_new_tokens, int n = 1) {
  SequenceRequest request;
  request.id = id;
  request.n = n;
  for (int i = 0; i < prompt_tokens; ++i) request.prompt.push_back(100 * id + i);
  request.max_new_tokens = max_new_tokens;
  return request;
}

// The token of each row that wants one is the row's sequence id.
void CommitAll(Scheduler& scheduler) {
  std::vector<NewToken> tokens;
  for (const LogitsRow& row : scheduler.rows()) {
    if (row.is_prompt) continue;
    tokens.push_back({row.sequence_id, static_cast<int32_t>(row.sequence_id), false});
  }
  scheduler.Commit(tokens);
}

std::vector<int64_t> Ids(const StepPlan& plan) {
  std::vector<int64_t> ids;
  for (const SequenceStep& part : plan.sequences) ids.push_back(part.sequence_id);
  return ids;
}

std::vector<int64_t> RowIds(const Scheduler& scheduler) {
  std::vector<int64_t> ids;
  for (const LogitsRow& row : scheduler.rows()) ids.push_back(row.sequence_id);
  return ids;
}

TEST(Started, IsTakenOnceForEachRequest) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 40, 2, /*n=*/3), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(9, 4, 2), kStart), IsOk());
  EXPECT_THAT(scheduler->TakeStarted(), IsEmpty());
  std::vector<int64_t> started;
  while (scheduler->Next(kStart).kind == StepPlan::Kind::kRun) {
    for (const StartedRequest& request : scheduler->TakeStarted()) {
      started.push_back(request.id);
      EXPECT_EQ(request.cached_tokens, 0);
    }
    CommitAll(*scheduler);
  }
  EXPECT_THAT(started, ElementsAre(1, 9));
}

TEST(Paused, GetsNoStepsAndKeepsPlaceAndPages) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 8, 9), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 8, 9), kStart), IsOk());
  EXPECT_THAT(Ids(scheduler->Next(kStart)), ElementsAre(1, 2));
  scheduler->SetPaused(1, true);
  CommitAll(*scheduler);  // takes its token all the same
  EXPECT_THAT(Ids(scheduler->Next(kStart)), ElementsAre(2));
  EXPECT_EQ(scheduler->stats().running, 2);
  CommitAll(*scheduler);
  scheduler->SetPaused(1, false);
  const StepPlan plan = scheduler->Next(kStart);
  ASSERT_THAT(Ids(plan), ElementsAre(1, 2));
  EXPECT_EQ(plan.sequences[0].start_position, 8);
  EXPECT_THAT(plan.sequences[0].tokens, ElementsAre(1));
}

TEST(Paused, LeavesTheGroupIdleWhenNothingElseIsLive) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 8, 9), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 8, 9), kStart), IsOk());
  scheduler->SetPaused(2, true);  // in the queue
  scheduler->Next(kStart);
  CommitAll(*scheduler);
  scheduler->SetPaused(1, true);
  scheduler->SetPaused(77, true);  // unknown
  EXPECT_EQ(scheduler->Next(kStart).kind, StepPlan::Kind::kIdle);
  scheduler->SetPaused(2, false);
  EXPECT_THAT(Ids(scheduler->Next(kStart)), ElementsAre(2));
}

TEST(Paused, IsTheFirstToGiveUpItsPages) {
  Scheduler::Options options = RoomyOptions();
  options.global_pages = 8;  // 32 positions
  options.max_context = 33;
  auto scheduler = MakeScheduler(options);
  for (int id = 1; id <= 3; ++id) {
    ASSERT_THAT(scheduler->Add(Request(id, 4, 20), kStart), IsOk());
    scheduler->Next(kStart);
    CommitAll(*scheduler);
  }
  scheduler->SetPaused(1, true);  // the first in order
  while (scheduler->stats().preemptions == 0) {
    EXPECT_THAT(Ids(scheduler->Next(kStart)), ElementsAre(2, 3));
    CommitAll(*scheduler);
  }
  EXPECT_EQ(scheduler->stats().running, 2);
  scheduler->SetPaused(1, false);
  while (scheduler->Next(kStart).kind == StepPlan::Kind::kRun) CommitAll(*scheduler);
  EXPECT_EQ(scheduler->stats().global_pages_used, 0);
}

TEST(Paused, GivesItsPlaceToANewcomerThatHasNone) {
  Scheduler::Options options = RoomyOptions();
  options.max_running_sequences = 1;
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 4, 20), kStart), IsOk());
  scheduler->Next(kStart);
  scheduler->SetPaused(1, true);
  CommitAll(*scheduler);
  ASSERT_THAT(scheduler->Add(Request(2, 4, 20), kStart), IsOk());
  EXPECT_THAT(Ids(scheduler->Next(kStart)), ElementsAre(2));
  EXPECT_EQ(scheduler->stats().queued, 1);
}

TEST(Completions, ShareTheLastRowOfTheirPromptThenPart) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 6, 3, /*n=*/3), kStart), IsOk());
  const StepPlan plan = scheduler->Next(kStart);
  ASSERT_EQ(plan.sequences.size(), 1);
  ASSERT_THAT(RowIds(*scheduler), ElementsAre(1, 2, 3));
  for (const LogitsRow& row : scheduler->rows()) {
    EXPECT_EQ(row.row, 0);
    EXPECT_EQ(row.position, 6);
    EXPECT_FALSE(row.is_prompt);
  }
  CommitAll(*scheduler);
  std::vector<std::vector<int32_t>> tokens(4);
  for (StepPlan next = scheduler->Next(kStart); next.kind == StepPlan::Kind::kRun;
       next = scheduler->Next(kStart)) {
    for (const SequenceStep& part : next.sequences) {
      tokens[part.sequence_id].push_back(part.tokens.back());
    }
    CommitAll(*scheduler);
  }
  for (int id = 1; id <= 3; ++id) EXPECT_THAT(tokens[id], ElementsAre(id, id)) << id;
}

TEST(Completions, EndOneByOneByCancelInEveryState) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 40, 3, /*n=*/5), kStart), IsOk());
  EXPECT_EQ(scheduler->stats().queued, 5);
  EXPECT_TRUE(scheduler->Cancel(1));  // the one that computes the prompt, in the queue
  EXPECT_TRUE(scheduler->Cancel(4));
  EXPECT_FALSE(scheduler->Cancel(4));
  EXPECT_EQ(scheduler->stats().queued, 3);
  EXPECT_THAT(Ids(scheduler->Next(kStart)), ElementsAre(2));
  EXPECT_TRUE(scheduler->Cancel(2));  // amid its prompt
  CommitAll(*scheduler);
  EXPECT_THAT(Ids(scheduler->Next(kStart)), ElementsAre(3));
  ASSERT_THAT(RowIds(*scheduler), ElementsAre(3, 5));
  EXPECT_TRUE(scheduler->Cancel(3));                              // its row is in flight
  ASSERT_THAT(scheduler->Add(Request(3, 4, 1), kStart), IsOk());  // the id anew
  scheduler->Commit({{3, 33, false}, {5, 55, false}});
  const StepPlan plan = scheduler->Next(kStart);
  ASSERT_THAT(Ids(plan), ElementsAre(5, 3));
  EXPECT_EQ(plan.sequences[0].tokens.back(), 55);
  EXPECT_THAT(plan.sequences[1].tokens, ElementsAre(300, 301, 302, 303));
  EXPECT_TRUE(scheduler->Cancel(5));
  CommitAll(*scheduler);
  EXPECT_EQ(scheduler->Next(kStart).kind, StepPlan::Kind::kIdle);
  EXPECT_EQ(scheduler->stats().global_pages_used, 0);
}

TEST(Completions, GoOnAfterTheFirstOfThemEndsWithItsFirstToken) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 6, 3, /*n=*/2), kStart), IsOk());
  scheduler->Next(kStart);
  scheduler->Commit({{1, 10, true}, {2, 20, false}});
  EXPECT_THAT(Ids(scheduler->Next(kStart)), ElementsAre(2));
}

TEST(Completions, WaitInTheQueueBeyondTheRunningOnes) {
  Scheduler::Options options = RoomyOptions();
  options.max_running_sequences = 2;
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 6, 4, /*n=*/5), kStart), IsOk());
  std::vector<int> tokens(6);
  while (scheduler->Next(kStart).kind == StepPlan::Kind::kRun) {
    EXPECT_LE(scheduler->stats().running, 2);
    for (int64_t id : RowIds(*scheduler)) ++tokens[id];
    CommitAll(*scheduler);
  }
  EXPECT_THAT(tokens, ElementsAre(0, 4, 4, 4, 4, 4));
}

TEST(Completions, AreAllPausedBeforeTheirPromptWaits) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 40, 4, /*n=*/2), kStart), IsOk());
  scheduler->SetPaused(1, true);
  EXPECT_THAT(Ids(scheduler->Next(kStart)), ElementsAre(1));
  CommitAll(*scheduler);
  scheduler->SetPaused(2, true);
  EXPECT_EQ(scheduler->Next(kStart).kind, StepPlan::Kind::kIdle);
  scheduler->SetPaused(2, false);
  scheduler->Next(kStart);
  CommitAll(*scheduler);
  EXPECT_THAT(Ids(scheduler->Next(kStart)), ElementsAre(2));
}

TEST(Completions, CountInTheQueue) {
  Scheduler::Options options = RoomyOptions();
  options.max_queue = 5;
  auto scheduler = MakeScheduler(options);
  EXPECT_THAT(scheduler->Add(Request(1, 4, 4, /*n=*/6), kStart),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("n is 6, must be in [1, 5]")));
  EXPECT_THAT(scheduler->Add(Request(1, 4, 4, /*n=*/0), kStart),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("n is 0")));
  ASSERT_THAT(scheduler->Add(Request(1, 4, 4, /*n=*/3), kStart), IsOk());
  EXPECT_THAT(
      scheduler->Add(Request(11, 4, 4, /*n=*/3), kStart),
      StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("3 requests wait, the limit is 5")));
  EXPECT_THAT(scheduler->Add(Request(0, 4, 4, /*n=*/2), kStart),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("sequence 1")));
}

TEST(Queue, IsBoundedByTokens) {
  Scheduler::Options options = RoomyOptions();
  options.max_context = 100;
  options.max_queue_tokens = 99;
  EXPECT_THAT(options.Validate(), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("max_queue_tokens is 99, must be in [100")));
  options.max_queue_tokens = 100;
  auto scheduler = MakeScheduler(options);
  ASSERT_THAT(scheduler->Add(Request(1, 90, 4), kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 10, 4), kStart), IsOk());
  EXPECT_THAT(scheduler->Add(Request(3, 1, 4), kStart),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("100 tokens wait, the limit is 100"), HasSubstr("has 1"))));
  EXPECT_TRUE(scheduler->Cancel(1));
  EXPECT_THAT(scheduler->Add(Request(3, 1, 4), kStart), IsOk());
}

// Positions of the rows of one sequence, by whether they are of its prompt.
struct Positions {
  std::vector<int> prompt;
  std::vector<int> generated;
};

Positions RunAlone(Scheduler& scheduler, int max_rows) {
  Positions positions;
  for (StepPlan plan = scheduler.Next(kStart); plan.kind == StepPlan::Kind::kRun;
       plan = scheduler.Next(kStart)) {
    std::set<int32_t> rows;
    for (const LogitsRow& row : scheduler.rows()) {
      rows.insert(row.row);
      (row.is_prompt ? positions.prompt : positions.generated).push_back(row.position);
    }
    EXPECT_LE(static_cast<int>(rows.size()), max_rows);
    int of_plan = 0;
    for (const SequenceStep& part : plan.sequences)
      of_plan += part.tokens.size() - part.logits_from;
    EXPECT_EQ(of_plan, static_cast<int>(rows.size()));
    CommitAll(scheduler);
  }
  return positions;
}

std::vector<int> UpTo(int first, int end) {
  std::vector<int> numbers;
  for (int i = first; i < end; ++i) numbers.push_back(i);
  return numbers;
}

TEST(PromptLogits, HaveARowForEveryTokenButTheFirstWithinTheRowsOfAStep) {
  Scheduler::Options options = RoomyOptions();
  EXPECT_EQ(options.logit_rows(), 8);
  options.max_logit_rows = 7;
  EXPECT_THAT(options.Validate(), StatusIs(absl::StatusCode::kInvalidArgument,
                                           HasSubstr("max_logit_rows is 7, must be in [8")));
  options.max_logit_rows = 10;
  auto scheduler = MakeScheduler(options);
  SequenceRequest request = Request(1, 75, 3);
  request.prompt_logits = true;
  ASSERT_THAT(scheduler->Add(request, kStart), IsOk());
  const Positions positions = RunAlone(*scheduler, 10);
  EXPECT_EQ(positions.prompt, UpTo(1, 75));
  EXPECT_THAT(positions.generated, ElementsAre(75, 76, 77));
}

TEST(PromptLogits, LeaveRowsToOthers) {
  Scheduler::Options options = RoomyOptions();
  options.max_running_sequences = 2;
  auto scheduler = MakeScheduler(options);  // two rows a step
  SequenceRequest request = Request(1, 30, 1);
  request.prompt_logits = true;
  ASSERT_THAT(scheduler->Add(request, kStart), IsOk());
  ASSERT_THAT(scheduler->Add(Request(2, 4, 5), kStart), IsOk());
  for (int step = 0; step < 5; ++step) {
    scheduler->Next(kStart);
    EXPECT_EQ(scheduler->rows().size(), 2);
    CommitAll(*scheduler);
  }
}

TEST(PromptLogits, AreNotGivenAgainAfterAPreemption) {
  Scheduler::Options options = RoomyOptions();
  options.global_pages = 12;  // 48 positions
  options.max_context = 48;
  options.max_logit_rows = 16;
  auto scheduler = MakeScheduler(options);
  SequenceRequest request = Request(2, 30, 4);
  request.prompt_logits = true;
  ASSERT_THAT(scheduler->Add(request, kStart), IsOk());
  std::vector<int> given;
  const auto step = [&] {
    if (scheduler->Next(kStart).kind != StepPlan::Kind::kRun) return false;
    for (const LogitsRow& row : scheduler->rows()) {
      if (row.sequence_id == 2) given.push_back(row.position);
    }
    CommitAll(*scheduler);
    return true;
  };
  EXPECT_TRUE(step());
  EXPECT_EQ(given, UpTo(1, 17));
  scheduler->SetPaused(2, true);
  ASSERT_THAT(scheduler->Add(Request(1, 44, 1), kStart), IsOk());  // needs its pages
  EXPECT_TRUE(step());
  EXPECT_EQ(scheduler->stats().preemptions, 1);
  scheduler->SetPaused(2, false);
  while (step()) {
  }
  EXPECT_EQ(given, UpTo(1, 34));
}

TEST(PlanAheadOfCommit, PlansWhatThenRuns) {
  auto scheduler = MakeScheduler(RoomyOptions());
  ASSERT_THAT(scheduler->Add(Request(1, 4, 3), kStart), IsOk());
  scheduler->Next(kStart);
  ASSERT_THAT(scheduler->Add(Request(2, 4, 3), kStart), IsOk());
  scheduler->PlanAhead(kStart);
  EXPECT_EQ(scheduler->stats().running, 2);  // the newcomer has its pages already
  CommitAll(*scheduler);
  StepPlan plan = scheduler->Next(kStart);
  ASSERT_THAT(Ids(plan), ElementsAre(1, 2));
  EXPECT_THAT(plan.sequences[0].tokens, ElementsAre(1));
  scheduler->PlanAhead(kStart);
  scheduler->SetPaused(2, true);
  scheduler->Commit({{1, 10, true}, {2, 20, false}});  // one ends, one is paused
  EXPECT_EQ(scheduler->Next(kStart).kind, StepPlan::Kind::kIdle);
  scheduler->SetPaused(2, false);
  plan = scheduler->Next(kStart);
  ASSERT_THAT(Ids(plan), ElementsAre(2));
  EXPECT_THAT(plan.sequences[0].tokens, ElementsAre(20));
}

TEST(PlanAheadOfCommit, EndsWhatExpires) {
  auto scheduler = MakeScheduler(RoomyOptions());
  SequenceRequest request = Request(1, 4, 30, /*n=*/2);
  request.deadline = kStart + absl::Seconds(1);
  ASSERT_THAT(scheduler->Add(request, kStart), IsOk());
  scheduler->Next(kStart);
  scheduler->PlanAhead(kStart + absl::Seconds(1));
  EXPECT_THAT(scheduler->TakeExpired(), ElementsAre(1, 2));
  EXPECT_EQ(scheduler->stats().global_pages_used, 0);
  CommitAll(*scheduler);
  EXPECT_EQ(scheduler->Next(kStart).kind, StepPlan::Kind::kIdle);
}

}  // namespace
}  // namespace facet
