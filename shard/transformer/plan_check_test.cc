#include "shard/transformer/plan_check.h"

#include <functional>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;

ModelConfig Config() {
  ModelConfig config;
  config.vocab_size = 100;
  config.hidden_size = 2;
  config.sliding_window = 6;
  config.max_position_embeddings = 64;
  config.layers.resize(2);
  config.layers[1].kind = AttentionKind::kGlobal;
  return config;
}

RankOptions Options() {
  RankOptions options;
  options.page_tokens = 4;
  options.global_pages = 20;
  options.sliding_pages = 10;
  options.max_step_tokens = 8;
  options.max_logit_rows = 3;
  return options;
}

// Tokens at positions 9, 10, 11. Sliding keys from position 4 on: page 0 is behind the window.
StepPlan GoodPlan() {
  SequenceStep sequence;
  sequence.sequence_id = 77;
  sequence.start_position = 9;
  sequence.tokens = {5, 6, 7};
  sequence.logits_from = 2;
  sequence.global_pages = {19, 3, 0};
  sequence.sliding_pages = {-1, 9, 4};
  StepPlan plan;
  plan.sequences = {sequence};
  return plan;
}

SequenceStep SecondSequence() {
  SequenceStep sequence;
  sequence.sequence_id = 78;
  sequence.tokens = {1};
  sequence.global_pages = {7};
  sequence.sliding_pages = {7};
  return sequence;
}

TEST(PlanCheckTest, AGoodPlanPassesAgainAndAgain) {
  PlanChecker checker(Config(), Options());
  StepPlan plan = GoodPlan();
  plan.sequences.push_back(SecondSequence());
  EXPECT_THAT(checker.Check(plan), IsOk());
  EXPECT_THAT(checker.Check(plan), IsOk());
}

TEST(PlanCheckTest, SequencesMayReadTheSamePage) {
  PlanChecker checker(Config(), Options());
  StepPlan plan = GoodPlan();
  plan.sequences.push_back(GoodPlan().sequences[0]);  // a common prefix of two pages
  plan.sequences[1].global_pages[2] = 1;
  plan.sequences[1].sliding_pages[2] = 1;
  EXPECT_THAT(checker.Check(plan), IsOk());
}

TEST(PlanCheckTest, APageMayBeCopiedToSeveralAndWrittenThen) {
  PlanChecker checker(Config(), Options());
  StepPlan plan = GoodPlan();
  plan.global_copies = {{5, 0}, {5, 19}, {6, 7}};
  plan.sliding_copies = {{0, 4}, {4 + 1, 0 + 1}};
  EXPECT_THAT(checker.Check(plan), IsOk());
  EXPECT_THAT(checker.Check(plan), IsOk());
}

SoftTokens Soft(int position, int count, int bytes, DType dtype = DType::kF32) {
  return OwnSoftTokens(position, count, MediaKind::kImage, dtype, std::string(bytes, 'x'));
}

TEST(PlanCheckTest, SoftTokensMayFillTheStep) {
  PlanChecker checker(Config(), Options());
  StepPlan plan = GoodPlan();
  plan.sequences[0].soft_tokens = {Soft(9, 1, 8), Soft(10, 2, 8, DType::kBF16)};
  EXPECT_THAT(checker.Check(plan), IsOk());
}

TEST(PlanCheckTest, PagesBeyondTheLastTokenAreNotLookedAt) {
  PlanChecker checker(Config(), Options());
  StepPlan plan = GoodPlan();
  plan.sequences[0].global_pages.push_back(-5);
  plan.sequences[0].sliding_pages.push_back(500);
  EXPECT_THAT(checker.Check(plan), IsOk());
}

TEST(PlanCheckTest, AModelWithoutGlobalLayersNeedsNoGlobalPages) {
  ModelConfig config = Config();
  config.layers[1].kind = AttentionKind::kSliding;
  RankOptions options = Options();
  options.global_pages = 0;
  PlanChecker checker(config, options);
  StepPlan plan = GoodPlan();
  plan.sequences[0].global_pages.clear();
  EXPECT_THAT(checker.Check(plan), IsOk());
}

struct BadCase {
  std::string name;
  std::function<void(StepPlan&)> change;
  std::string in_message;
};
class BadPlanTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadPlanTest, IsRefusedByNameAndNumber) {
  PlanChecker checker(Config(), Options());
  StepPlan plan = GoodPlan();
  GetParam().change(plan);
  EXPECT_THAT(checker.Check(plan),
              StatusIs(absl::StatusCode::kInternal, HasSubstr(GetParam().in_message)));
  EXPECT_THAT(checker.Check(GoodPlan()), IsOk());  // the checker itself is none the worse
}

SequenceStep& First(StepPlan& plan) { return plan.sequences[0]; }

INSTANTIATE_TEST_SUITE_P(
    Plans, BadPlanTest,
    ::testing::ValuesIn(std::vector<BadCase>{
        {"kind", [](StepPlan& p) { p.kind = StepPlan::Kind::kStop; }, "kind 2"},
        {"no_sequences", [](StepPlan& p) { p.sequences.clear(); }, "no sequences"},
        {"no_tokens", [](StepPlan& p) { First(p).tokens.clear(); }, "sequence 77 has no tokens"},
        {"token_too_large", [](StepPlan& p) { First(p).tokens[1] = 100; }, "token id 100"},
        {"token_negative", [](StepPlan& p) { First(p).tokens[1] = -1; }, "token id -1"},
        {"soft_tokens_before_the_step",
         [](StepPlan& p) { First(p).soft_tokens = {Soft(8, 2, 16)}; },
         "soft tokens at positions [8, 10) outside of [9, 12)"},
        {"soft_tokens_behind_the_step",
         [](StepPlan& p) { First(p).soft_tokens = {Soft(11, 2, 16)}; },
         "[11, 13) outside of [9, 12)"},
        {"soft_tokens_overlap",
         [](StepPlan& p) {
           First(p).soft_tokens = {Soft(9, 2, 16), Soft(10, 1, 8)};
         },
         "[10, 11) outside of [11, 12)"},
        {"no_soft_tokens", [](StepPlan& p) { First(p).soft_tokens = {Soft(9, 0, 0)}; }, "[9, 9)"},
        {"type_of_soft_tokens",
         [](StepPlan& p) { First(p).soft_tokens = {Soft(9, 1, 4, DType::kF16)}; },
         "soft tokens of type f16"},
        {"width_of_soft_tokens", [](StepPlan& p) { First(p).soft_tokens = {Soft(9, 2, 24)}; },
         "24 bytes of 2 soft tokens of 2 f32, must be 16"},
        {"position_negative", [](StepPlan& p) { First(p).start_position = -1; }, "[-1, 2)"},
        {"beyond_the_context", [](StepPlan& p) { First(p).start_position = 62; },
         "[62, 65) outside of the context of 64"},
        {"beyond_any_context", [](StepPlan& p) { First(p).start_position = INT32_MAX; },
         "outside of the context"},
        {"logits_from_negative", [](StepPlan& p) { First(p).logits_from = -1; }, "row -1 of 3"},
        {"logits_from_too_large", [](StepPlan& p) { First(p).logits_from = 4; }, "row 4 of 3"},
        {"too_many_tokens",
         [](StepPlan& p) {
           p.sequences.push_back(SecondSequence());
           p.sequences[1].tokens.assign(6, 1);
           p.sequences[1].logits_from = 6;
           p.sequences[1].global_pages = {7, 8};
           p.sequences[1].sliding_pages = {7, 8};
         },
         "9 tokens, at most 8"},
        {"too_many_logits",
         [](StepPlan& p) {
           First(p).logits_from = 0;
           p.sequences.push_back(SecondSequence());
         },
         "4 rows with logits, at most 3"},
        {"too_few_global_pages", [](StepPlan& p) { First(p).global_pages.pop_back(); },
         "2 global pages of 4 tokens do not reach position 11"},
        {"too_few_sliding_pages", [](StepPlan& p) { First(p).sliding_pages.pop_back(); },
         "2 sliding pages of 4 tokens do not reach position 11"},
        {"global_page_too_large", [](StepPlan& p) { First(p).global_pages[0] = 20; },
         "global page 20 of block 0 does not exist, the pool has 20"},
        {"global_page_given_back", [](StepPlan& p) { First(p).global_pages[0] = -1; },
         "global page -1 of block 0"},
        {"sliding_page_too_large", [](StepPlan& p) { First(p).sliding_pages[2] = 10; },
         "sliding page 10 of block 2"},
        {"sliding_page_in_the_window", [](StepPlan& p) { First(p).sliding_pages[1] = -1; },
         "sliding page -1 of block 1"},
        {"copy_to_beyond_the_pool",
         [](StepPlan& p) {
           p.sliding_copies = {{0, 10}};
         },
         "sliding page 10 of a copy does not exist, the pool has 10"},
        {"copy_from_a_page_given_back",
         [](StepPlan& p) {
           p.global_copies = {{-1, 3}};
         },
         "global page -1 of a copy does not exist"},
        {"copy_to_one_page_twice",
         [](StepPlan& p) {
           p.global_copies = {{1, 3}, {2, 3}};
         },
         "global page 3 is the target of two copies"},
        {"copy_of_a_copy",
         [](StepPlan& p) {
           p.global_copies = {{1, 3}, {3, 4}};
         },
         "global page 3 is both source and target"},
        {"copy_before_its_source_is_copied_to",
         [](StepPlan& p) {
           p.sliding_copies = {{3, 4}, {1, 3}};
         },
         "sliding page 3 is both source and target"},
        {"copy_to_itself",
         [](StepPlan& p) {
           p.global_copies = {{2, 2}};
         },
         "global page 2 is both source and target"},
        {"page_written_by_two",
         [](StepPlan& p) {
           p.sequences.push_back(SecondSequence());
           p.sequences[1].global_pages[0] = 0;
         },
         "sequence 78: global page 0 is written twice"},
        {"page_written_twice_by_one",
         [](StepPlan& p) {
           First(p).start_position = 7;
           First(p).sliding_pages = {1, 4, 4};
         },
         "sequence 77: sliding page 4 is written twice"},
    }),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace facet
