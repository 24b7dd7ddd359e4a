#include "shard/sampling/stop_checker.h"

#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

StopConditions Conditions() {
  StopConditions conditions;
  conditions.max_tokens = 10;
  conditions.end_token_ids = {106, 1, 50};
  conditions.stop_token_ids = {77, 1};
  return conditions;
}

struct CheckCase {
  std::string name;
  void (*change)(StopConditions&);
  int32_t token;
  int generated;
  FinishReason reason;
};
class StopCheckerTest : public ::testing::TestWithParam<CheckCase> {};

TEST_P(StopCheckerTest, SaysWhyASequenceEnds) {
  StopConditions conditions = Conditions();
  GetParam().change(conditions);
  ASSERT_THAT(conditions.Validate(1000), IsOk());
  const StopChecker checker(conditions, /*prompt_tokens=*/5, /*max_context=*/100);
  EXPECT_EQ(checker.Check(GetParam().token, GetParam().generated), GetParam().reason);
}
const auto kAsIs = [](StopConditions&) {};
const auto kIgnoreEos = [](StopConditions& c) { c.ignore_eos = true; };
INSTANTIATE_TEST_SUITE_P(
    Tokens, StopCheckerTest,
    ::testing::ValuesIn(std::vector<CheckCase>{
        {"goes_on", kAsIs, 5, 1, FinishReason::kNone},
        {"end_of_sequence", kAsIs, 1, 1, FinishReason::kStop},
        {"end_of_turn", kAsIs, 106, 3, FinishReason::kStop},
        {"tool_response", kAsIs, 50, 3, FinishReason::kStop},
        {"the_callers_stop_token", kAsIs, 77, 3, FinishReason::kStop},
        {"last_permitted", kAsIs, 5, 10, FinishReason::kLength},
        {"one_before_the_last", kAsIs, 5, 9, FinishReason::kNone},
        {"stop_on_the_last_place", kAsIs, 106, 10, FinishReason::kStop},
        {"ignored_end", kIgnoreEos, 106, 3, FinishReason::kNone},
        {"ignored_end_on_the_last_place", kIgnoreEos, 106, 10, FinishReason::kLength},
        {"stop_token_is_not_ignored", kIgnoreEos, 77, 3, FinishReason::kStop},
        {"stop_token_that_is_an_end_token_too", kIgnoreEos, 1, 3, FinishReason::kStop},
        {"max_of_one", [](StopConditions& c) { c.max_tokens = 1; }, 5, 1, FinishReason::kLength},
    }),
    [](const auto& info) { return info.param.name; });

struct RoomCase {
  std::string name;
  int max_tokens;
  int prompt_tokens;
  int max_context;
  int max_new_tokens;
};
class StopCheckerRoomTest : public ::testing::TestWithParam<RoomCase> {};

TEST_P(StopCheckerRoomTest, StopsWhereTheContextIsFull) {
  StopConditions conditions = Conditions();
  conditions.max_tokens = GetParam().max_tokens;
  const StopChecker checker(conditions, GetParam().prompt_tokens, GetParam().max_context);
  EXPECT_EQ(checker.max_new_tokens(), GetParam().max_new_tokens);
  EXPECT_EQ(checker.Check(5, GetParam().max_new_tokens), FinishReason::kLength);
  EXPECT_EQ(checker.Check(5, GetParam().max_new_tokens - 1), FinishReason::kNone);
}
INSTANTIATE_TEST_SUITE_P(Rooms, StopCheckerRoomTest,
                         ::testing::ValuesIn(std::vector<RoomCase>{
                             {"plenty", 10, 5, 100, 10},
                             {"exactly", 95, 5, 100, 95},
                             {"one_too_many", 96, 5, 100, 95},
                             {"one_left", 10, 99, 100, 1},
                             {"unlimited", 2147483647, 5, 131072, 131067},
                         }),
                         [](const auto& info) { return info.param.name; });

TEST(StopChecker, MasksWhatWouldStopBeforeMinTokens) {
  StopConditions conditions = Conditions();
  conditions.min_tokens = 3;
  const StopChecker checker(conditions, 5, 100);
  EXPECT_THAT(checker.MaskedTokens(0), ElementsAre(1, 50, 77, 106));
  EXPECT_THAT(checker.MaskedTokens(2), ElementsAre(1, 50, 77, 106));
  EXPECT_THAT(checker.MaskedTokens(3), IsEmpty());
}

TEST(StopChecker, MasksNothingWithoutMinTokens) {
  EXPECT_THAT(StopChecker(Conditions(), 5, 100).MaskedTokens(0), IsEmpty());
}

TEST(StopChecker, DoesNotMaskAnEndTokenThatIsIgnored) {
  StopConditions conditions = Conditions();
  conditions.min_tokens = 3;
  conditions.ignore_eos = true;
  EXPECT_THAT(StopChecker(conditions, 5, 100).MaskedTokens(0), ElementsAre(1, 77));
}

struct RefusedCase {
  std::string name;
  void (*change)(StopConditions&);
  std::string message;
};
class StopConditionsTest : public ::testing::TestWithParam<RefusedCase> {};

TEST_P(StopConditionsTest, RefusesWithFieldValueAndLimit) {
  StopConditions conditions = Conditions();
  GetParam().change(conditions);
  EXPECT_THAT(conditions.Validate(1000),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}
INSTANTIATE_TEST_SUITE_P(
    Fields, StopConditionsTest,
    ::testing::ValuesIn(std::vector<RefusedCase>{
        {"max_zero", [](StopConditions& c) { c.max_tokens = 0; }, "max_tokens is 0"},
        {"min_negative", [](StopConditions& c) { c.min_tokens = -1; }, "min_tokens is -1"},
        {"min_above_max", [](StopConditions& c) { c.min_tokens = 11; },
         "min_tokens is 11, must be in [0, max_tokens = 10]"},
        {"end_token",
         [](StopConditions& c) {
           c.end_token_ids = {1, 1000};
         },
         "end_token_ids has token 1000, must be in [0, 1000)"},
        {"stop_token", [](StopConditions& c) { c.stop_token_ids = {-1}; },
         "stop_token_ids has token -1"},
    }),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace facet
