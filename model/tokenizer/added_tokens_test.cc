#include "model/tokenizer/added_tokens.h"

#include <random>
#include <string>

#include "gtest/gtest.h"

namespace facet {
namespace {

using Ranges = std::vector<std::pair<size_t, size_t>>;

struct Token {
  std::string content;
  bool special;
};

// "begin:id end .." of all matches.
std::string All(const AddedTokenMatcher& matcher, const std::string& text, SpecialTokenRule rule) {
  std::string out;
  size_t from = 0;
  while (const auto match = matcher.Next(text, from, text.size(), &rule)) {
    out += std::to_string(match->begin) + ":" + std::to_string(match->id) + " ";
    from = match->end;
  }
  return out;
}

// The same by trying every token at every place.
std::string AllNaively(const std::vector<Token>& tokens, const std::string& text, bool allowed,
                       const Ranges& forbidden) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t longest = 0;
    int id = -1;
    for (size_t i = 0; i < tokens.size(); ++i) {
      const std::string& content = tokens[i].content;
      if (text.compare(at, content.size(), content) != 0 || content.size() <= longest) continue;
      bool permitted = !tokens[i].special || allowed;
      for (const auto& [begin, end] : forbidden) {
        const bool overlaps = begin < end && begin < at + content.size() && at < end;
        permitted = permitted && (!tokens[i].special || !overlaps);
      }
      if (!permitted) continue;
      longest = content.size();
      id = static_cast<int>(i);
    }
    if (id >= 0) out += std::to_string(at) + ":" + std::to_string(id) + " ";
    at += id >= 0 ? longest : 1;
  }
  return out;
}

TEST(AddedTokenMatcherTest, FindsWhatTryingEveryTokenFinds) {
  std::mt19937 rng(3);
  const auto word = [&rng](int longest) {
    std::string out;
    for (int n = rng() % longest; n >= 0; --n) out += "ab"[rng() % 2];
    return out;
  };
  int matches = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<Token> tokens;
    AddedTokenMatcher matcher;
    for (int n = rng() % 5; n >= 0; --n) {
      const Token token = {word(5), rng() % 2 == 0};
      bool known = false;
      for (const Token& other : tokens) known = known || other.content == token.content;
      if (known) continue;
      matcher.Add(token.content, static_cast<int32_t>(tokens.size()), token.special);
      tokens.push_back(token);
    }
    const std::string text = word(30);
    Ranges forbidden;
    for (size_t at = rng() % 8; at < text.size(); at += rng() % 8) {
      const size_t end = std::min<size_t>(text.size(), at + rng() % 5);
      forbidden.push_back({at, end});
      at = end;
    }
    const bool allowed = rng() % 4 != 0;
    const std::string expected = AllNaively(tokens, text, allowed, forbidden);
    ASSERT_EQ(All(matcher, text, {allowed, forbidden}), expected) << text;
    if (matcher.Empty({allowed, forbidden})) {
      EXPECT_EQ(expected, "");
    }
    matches += !expected.empty();
  }
  EXPECT_GE(matches, 1000);  // else the test looked at nothing
}

TEST(AddedTokenMatcherTest, StopsAtTheGivenEnd) {
  AddedTokenMatcher matcher;
  matcher.Add("abc", 7, false);
  SpecialTokenRule rule;
  EXPECT_FALSE(matcher.Next("xabcabc", 2, 6, &rule).has_value());
  EXPECT_TRUE(matcher.Next("xabcabc", 2, 7, &rule).has_value());
}

TEST(AddedTokenMatcherTest, FindsEveryByteValue) {
  AddedTokenMatcher matcher;
  for (int byte = 0; byte < 256; ++byte)
    matcher.Add(std::string(2, static_cast<char>(byte)), byte, true);
  for (int byte = 0; byte < 256; ++byte) {
    SpecialTokenRule rule = {true, {}};
    const auto match = matcher.Next(std::string(2, static_cast<char>(byte)), 0, 2, &rule);
    ASSERT_TRUE(match.has_value());
    EXPECT_EQ(match->id, byte);
  }
}

}  // namespace
}  // namespace facet
