#include "router/stop_matcher.h"

#include <algorithm>
#include <random>

#include "gtest/gtest.h"

namespace facet {
namespace {

struct Found {
  std::string before;  // all of the text, if nothing was found
  std::string match;
  bool operator==(const Found& other) const {
    return before == other.before && match == other.match;
  }
};

std::ostream& operator<<(std::ostream& out, const Found& found) {
  return out << "'" << found.before << "' then '" << found.match << "'";
}

// The definition, read aloud: at each end, from the first on, the longest stop that ends there.
Found FindSlowly(const std::vector<std::string>& stops, const std::string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    std::string longest;
    for (const std::string& stop : stops) {
      const bool ends_here =
          stop.size() <= end && text.compare(end - stop.size(), stop.size(), stop) == 0;
      if (ends_here && stop.size() > longest.size()) longest = stop;
    }
    if (!longest.empty()) return {text.substr(0, end - longest.size()), longest};
  }
  return {text, ""};
}

Found FindInPieces(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopMatcher matcher(stops);
  std::string released;
  for (const std::string& piece : pieces) matcher.Push(piece, &released);
  matcher.Finish(&released);
  return {released, matcher.match()};
}

struct Case {
  std::string name;
  std::vector<std::string> stops;
  std::vector<std::string> pieces;
  Found found;
};
class StopMatcherTest : public testing::TestWithParam<Case> {};

TEST_P(StopMatcherTest, FindsTheFirstMatch) {
  EXPECT_EQ(FindInPieces(GetParam().stops, GetParam().pieces), GetParam().found);
}

INSTANTIATE_TEST_SUITE_P(
    Texts, StopMatcherTest,
    testing::ValuesIn(std::vector<Case>{
        {"no_stops", {}, {"ab", "c"}, {"abc", ""}},
        {"no_match", {"xyz"}, {"ab", "c"}, {"abc", ""}},
        {"in_one_piece", {"b"}, {"abc"}, {"a", "b"}},
        {"over_three_pieces", {"bcd"}, {"ab", "c", "de"}, {"a", "bcd"}},
        {"at_the_begin", {"ab"}, {"a", "b"}, {"", "ab"}},
        {"half_a_match_is_released_at_the_end", {"END"}, {"the E", "N"}, {"the EN", ""}},
        {"false_start_then_match", {"aab"}, {"aa", "ab"}, {"a", "aab"}},
        {"shorter_one_ends_first", {"abc", "b"}, {"a", "b", "c"}, {"a", "b"}},
        {"two_end_together_longer_wins", {"bc", "abc"}, {"abc"}, {"", "abc"}},
        {"empty_pieces", {"ab"}, {"a", "", "b", ""}, {"", "ab"}},
        {"nothing_after_the_match", {"b"}, {"ab", "cd", "ef"}, {"a", "b"}},
        {"code_points", {"é!"}, {"caf", "é", "!"}, {"caf", "é!"}},
    }),
    [](const auto& info) { return info.param.name; });

TEST(StopMatcherTest, ReleasesAtOnceWhatCannotMatch) {
  StopMatcher matcher({"STOP", "TOP HAT"});
  std::string released;
  EXPECT_FALSE(matcher.Push("go on S", &released));
  EXPECT_EQ(released, "go on ");
  EXPECT_TRUE(matcher.Push("TOP", &released));
  EXPECT_EQ(matcher.match(), "STOP");
  EXPECT_EQ(released, "go on ");
}

TEST(StopMatcherTest, HoldsTheLongestPossibleBegin) {
  StopMatcher matcher({"ba", "aab"});
  std::string released;
  matcher.Push("xa", &released);
  EXPECT_EQ(released, "x");
  matcher.Push("a", &released);
  EXPECT_EQ(released, "x");
  matcher.Push("a", &released);
  EXPECT_EQ(released, "xa");
  matcher.Push("c", &released);
  EXPECT_EQ(released, "xaaac");
}

// Small alphabets make overlaps, borders and several matches common.
TEST(StopMatcherTest, AnyChunkingGivesWhatTheDefinitionGives) {
  std::mt19937 random(20260101);
  const auto text_of = [&random](size_t size, int letters) {
    std::string out;
    for (size_t i = 0; i < size; ++i) out.push_back(static_cast<char>('a' + random() % letters));
    return out;
  };
  int matches = 0;
  for (int round = 0; round < 20000; ++round) {
    const int letters = 2 + static_cast<int>(random() % 2);
    std::vector<std::string> stops;
    for (size_t i = 0, n = random() % 4; i < n; ++i) {
      stops.push_back(text_of(1 + random() % 6, letters));
    }
    const std::string text = text_of(random() % 24, letters);
    std::vector<std::string> pieces;
    for (size_t i = 0; i < text.size();) {
      const size_t size = random() % 5;
      pieces.push_back(text.substr(i, size));
      i += size;
    }
    const Found want = FindSlowly(stops, text);
    matches += want.match.empty() ? 0 : 1;
    ASSERT_EQ(FindInPieces(stops, pieces), want)
        << "text '" << text << "' stops '" << testing::PrintToString(stops);
  }
  EXPECT_GT(matches, 5000);
}

// A matcher that compares from scratch at each byte would take minutes here.
TEST(StopMatcherTest, IsLinearOnTextThatAlmostMatches) {
  const std::string stop = std::string(255, 'a') + "b";
  StopMatcher matcher(std::vector<std::string>(16, stop));
  std::string released;
  EXPECT_FALSE(matcher.Push(std::string(1 << 20, 'a'), &released));
  EXPECT_EQ(released.size(), (1u << 20) - 255);
}

}  // namespace
}  // namespace facet
