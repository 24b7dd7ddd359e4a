#include "shard/sampling/reasoning_budget.h"

#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

constexpr int32_t kOpen = 8, kClose = 9;

ReasoningBudget Budget(int max_tokens, bool starts_in_thought = false) {
  return ReasoningBudget({max_tokens, starts_in_thought, kOpen, kClose});
}

// What a model writes that wants to write `wants`, one after the other.
std::vector<int32_t> Write(ReasoningBudget budget, const std::vector<int32_t>& wants) {
  std::vector<int32_t> written;
  for (const int32_t want : wants) {
    int32_t token = budget.ForcedToken().value_or(want);
    if (budget.MaskedToken() == token) token = 0;
    written.push_back(token);
    budget.Add(token);
  }
  return written;
}

using Tokens = std::vector<int32_t>;

TEST(ReasoningBudgetTest, AThoughtThatIsShortEnoughIsLeftAlone) {
  const Tokens wants = {kOpen, 1, 2, kClose, 3, 4, 5, 6};
  EXPECT_EQ(Write(Budget(3), wants), wants);
}

TEST(ReasoningBudgetTest, AThoughtIsClosedAtTheLimit) {
  EXPECT_EQ(Write(Budget(2), {kOpen, 1, 2, 3, 4, 5}), (Tokens{kOpen, 1, 2, kClose, 4, 5}));
}

TEST(ReasoningBudgetTest, AThoughtThatThePromptOpenedCountsFromTheFirstToken) {
  EXPECT_EQ(Write(Budget(2, true), {1, 2, 3, 4}), (Tokens{1, 2, kClose, 4}));
}

TEST(ReasoningBudgetTest, NoneMayBeOpenedOnceTheBudgetIsUsedUp) {
  EXPECT_EQ(Write(Budget(2), {kOpen, 1, 2, 3, kOpen, 4}), (Tokens{kOpen, 1, 2, kClose, 0, 4}));
}

TEST(ReasoningBudgetTest, ThoughtsShareTheBudget) {
  EXPECT_EQ(Write(Budget(2), {kOpen, 1, kClose, 5, kOpen, 2, 3, 4}),
            (Tokens{kOpen, 1, kClose, 5, kOpen, 2, kClose, 4}));
}

TEST(ReasoningBudgetTest, WithoutABudgetThereIsNoThought) {
  EXPECT_EQ(Write(Budget(0), {kOpen, 1}), (Tokens{0, 1}));
  EXPECT_EQ(Write(Budget(0, true), {1, 2}), (Tokens{kClose, 2}));
}

TEST(ReasoningLimitTest, SaysWhatIsWrong) {
  EXPECT_THAT((ReasoningLimit{0, false, kOpen, kClose}.Validate(10)), IsOk());
  const auto refused = [](const ReasoningLimit& limit, const char* what) {
    EXPECT_THAT(limit.Validate(10), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what)));
  };
  refused({-1, false, kOpen, kClose}, "max_tokens is -1");
  refused({1, false, 10, kClose}, "open_token is 10");
  refused({1, false, kOpen, -1}, "close_token is -1");
  refused({1, false, kOpen, kOpen}, "must not be close_token");
}

}  // namespace
}  // namespace facet
