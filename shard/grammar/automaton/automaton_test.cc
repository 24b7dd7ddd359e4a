// What the states of grammars take, against regular expressions and against each token by itself.

#include <map>
#include <memory>
#include <random>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "shard/grammar/automaton/mask_builder.h"
#include "shard/grammar/automaton/network.h"
#include "shard/grammar/automaton/state_cache.h"

namespace facet {
namespace {

constexpr int64_t kPlenty = int64_t{1} << 40;

std::unique_ptr<StateCache> NewCache(const std::string& ebnf) {
  auto network = GrammarNetwork::FromEbnf(ebnf, kOwnEbnf);
  EXPECT_TRUE(network.ok()) << network.status() << "\n" << ebnf;
  if (!network.ok()) return nullptr;
  return std::make_unique<StateCache>(std::make_shared<const GrammarNetwork>(*std::move(network)));
}

int32_t After(StateCache& cache, int32_t state, const std::string& text) {
  WorkBudget work{kPlenty};
  for (const char c : text) {
    if (state > 0) state = cache.NextByte(state, static_cast<uint8_t>(c), &work);
  }
  return state;
}

int32_t Start(StateCache& cache) {
  WorkBudget work{kPlenty};
  return cache.Start(&work);
}

bool Matches(StateCache& cache, const std::string& text) {
  return cache.IsComplete(After(cache, Start(cache), text));
}

struct MatchCase {
  const char* name;
  const char* ebnf;
  std::vector<std::string> good, bad;
};

class MatchTest : public ::testing::TestWithParam<MatchCase> {};

TEST_P(MatchTest, TakesItsTextsAndNoOthers) {
  const auto cache = NewCache(GetParam().ebnf);
  ASSERT_NE(cache, nullptr);
  for (const std::string& text : GetParam().good) EXPECT_TRUE(Matches(*cache, text)) << text;
  for (const std::string& text : GetParam().bad) EXPECT_FALSE(Matches(*cache, text)) << text;
}

INSTANTIATE_TEST_SUITE_P(
    Cases, MatchTest,
    ::testing::Values(
        MatchCase{"Escapes",
                  R"(root ::= "\"\\\n\x41\u00e9\U0001f600" [\]\-a\^])",
                  {"\"\\\nAé😀]", "\"\\\nAé😀-", "\"\\\nAé😀^"},
                  {"\"\\\nAé😀b"}},
        MatchCase{"CommentsAndLines",
                  "# a\nroot ::= a # b\n  | \"b\"\n\na ::= \"x\"\n  \"y\"",
                  {"xy", "b"},
                  {"x", "a", ""}},
        MatchCase{"Unicode",
                  "root ::= [^a-z\\u0100-\\uffff]{1,2}",
                  {"é", "A😀", "\n"},
                  {"a", "Ā", "日", "", "\xC3", "\xED\xA0\x80"}},
        MatchCase{"Repetitions",
                  "root ::= \"a\"{2} \"b\"{2,} \"c\"{0,2} \"d\"{ 1 , 2 }",
                  {"aabbd", "aabbbbccdd"},
                  {"abbd", "aabd", "aabbcccd", "aabb"}},
        MatchCase{"Palindromes",
                  "root ::= \"a\" root \"a\" | \"b\" root \"b\" | \"c\"",
                  {"c", "abcba", "aabcbaa"},
                  {"ab", "abcab", "abcb", ""}},
        MatchCase{"LeftRecursion",
                  "root ::= root \"+\" term | root \"-\" term | term\nterm ::= term \"*\" [0-9] | "
                  "[0-9] | \"(\" root \")\"",
                  {"1", "1+2*3", "(1-2)*3", "((4))+1"},
                  {"", "+1", "1+", "(1", "1)"}},
        MatchCase{
            "LeftRecursionTwice", "root ::= root root | \"a\" | root", {"a", "aaaa"}, {"", "b"}},
        MatchCase{"RightRecursion", "root ::= \"a\" root | \"a\"", {"a", "aaaaaaa"}, {"", "ab"}},
        MatchCase{"EmptyLoops",
                  "root ::= ((\"a\"?)* | (\"\")* ){0,3} end\nend ::= \"\" | \"b\"?",
                  {"", "aaa", "ab"},
                  {"ba"}},
        MatchCase{"DeadAlternatives",
                  "root ::= \"a\" (\"b\" never | \"c\") never* | \"d\" [^\\x01-\\U0010ffff]?\n"
                  "never ::= \"x\" never",
                  {"ac", "d"},
                  {"ab", "abx", "acx"}},
        MatchCase{"Ambiguous",
                  "root ::= a a a\na ::= (\"x\" | b)* \"y\"?\nb ::= \"x\" \"x\"",
                  {"", "xxx", "xyxxyy"},
                  {"yyyy"}}),
    [](const auto& info) { return std::string(info.param.name); });

// A text that cannot be completed any more is refused at once.
TEST(StateCacheTest, NothingLeadsIntoADeadEnd) {
  const auto cache =
      NewCache("root ::= \"a\" (\"b\" never | \"c\") | \"d\" never\nnever ::= \"x\" never");
  EXPECT_EQ(After(*cache, Start(*cache), "ab"), StateCache::kDead);
  EXPECT_EQ(After(*cache, Start(*cache), "d"), StateCache::kDead);
  EXPECT_NE(After(*cache, Start(*cache), "a"), StateCache::kDead);
}

// An expression in both notations.
struct Random {
  std::string ebnf, regex;
};
Random Expression(std::mt19937& rng, int depth) {
  const auto any = [&](int n) { return static_cast<int>(rng() % static_cast<unsigned>(n)); };
  if (depth == 0) {
    constexpr const char* kLeaves[][2] = {
        {"\"a\"", "a"}, {"\"b\"", "b"}, {"[ab]", "[ab]"}, {"[^a]", "[^a]"}, {"\"\"", "(?:)"}};
    const auto& leaf = kLeaves[any(5)];
    return {leaf[0], leaf[1]};
  }
  const Random x = Expression(rng, depth - 1), y = Expression(rng, depth - 1);
  switch (any(4)) {
    case 0:
      return {"(" + x.ebnf + " | " + y.ebnf + ")", "(?:" + x.regex + "|" + y.regex + ")"};
    case 1: {
      constexpr const char* kTimes[] = {"*", "+", "?", "{2}", "{1,3}", "{2,}"};
      const char* times = kTimes[any(6)];
      return {"(" + x.ebnf + ")" + times, "(?:" + x.regex + ")" + times};
    }
    default:
      return {x.ebnf + " " + y.ebnf, x.regex + y.regex};
  }
}

TEST(StateCacheTest, AgreesWithRegularExpressions) {
  std::mt19937 rng(11);
  int matched = 0;
  for (int round = 0; round < 300; ++round) {
    const Random e = Expression(rng, 3);
    const auto cache = NewCache("root ::= " + e.ebnf);
    ASSERT_NE(cache, nullptr);
    const std::regex regex(e.regex);
    for (int i = 0; i < 60; ++i) {
      std::string text;
      for (auto n = rng() % 8; n > 0; --n) text.push_back("abc"[rng() % 3]);
      const bool expected = std::regex_match(text, regex);
      matched += expected;
      ASSERT_EQ(Matches(*cache, text), expected) << text << " in " << e.ebnf;
    }
  }
  EXPECT_GT(matched, 1000);
}

std::vector<std::string> Pieces(std::mt19937& rng) {
  std::vector<std::string> pieces;
  for (int byte = 1; byte < 256; ++byte) pieces.push_back(std::string(1, static_cast<char>(byte)));
  const std::vector<std::string> bits = {"a", "b",  "z", "A", " ", "7", "\"",   "\\",   "\n",
                                         "é", "日", "😀", "{", "@", ",", "\xC3", "\xA9", "\xF0\x9F"};
  for (int i = 0; i < 3000; ++i) {
    std::string piece;
    // Mostly of one sort, as words are.
    const size_t sort = rng() % bits.size();
    for (auto n = 1 + rng() % (i % 50 == 0 ? 40 : 9); n > 0; --n) {
      piece += bits[rng() % 3 == 0 ? rng() % bits.size() : sort];
    }
    pieces.push_back(piece);
  }
  pieces.push_back("");
  pieces.push_back("a");  // a second one
  return pieces;
}

// Every bit of every mask says what the state does with the token's bytes.
TEST(MaskBuilderTest, AMaskAllowsExactlyWhatTheStateTakes) {
  std::mt19937 rng(12);
  const std::vector<std::string> pieces = Pieces(rng);
  const TokenIndex index(pieces);
  constexpr const char* kGrammars[] = {
      "root ::= [^\"]* \"\\\"\"",
      "root ::= \"\\\"\" ([^\"\\\\\\x01-\\x1f] | \"\\\\\" [\"\\\\n]){0,12} \"\\\"\"",
      "root ::= [a-z]{3,40} | [a-zA-Z ]{1,9} | [^@]+ \"@\" [^@]+",
      "root ::= [a-zA-Z0-9 \\u0080-\\U0010ffff]{0,33} \"\\n\"", "root ::= ([a-z] | \"-\")*",
      // A library's masks used to allow two spaces after four characters, which its matcher
      // refused.
      "root ::= \"\\\"\" [!#-/:-\\x5b\\x5d-\\x7f]{3} ([0-9A-Z_a-z] | [ -!#-/:-@\\x5b]) "
      "[!#-\\x5b\\x5d-~] [ -~] \"\\\"\"",
      "root ::= ([a-z]{1,4} [0-9]{1,2}){1,5}",
      "root ::= \"{\" (root (\",\" root)*)? \"}\" | [a-z]+ | \"7\"", "root ::= [^\\x00]*",
      "root ::= ([\\x01-\\x7f] | [\\u00e9] [\\u65e5])*",
      "root ::= \"a\"* \"b\"* | (\"a\" \"b\"){0,20}"};
  int allowed = 0, forbidden = 0;
  for (const char* ebnf : kGrammars) {
    const auto cache = NewCache(ebnf);
    ASSERT_NE(cache, nullptr);
    for (int text = 0; text < 6; ++text) {
      int32_t state = Start(*cache);
      for (int step = 0; step < 12 && state > 0; ++step) {
        WorkBudget work{kPlenty};
        std::vector<uint32_t> mask;
        ASSERT_EQ(BuildMask(index, cache.get(), state, &work, &mask), MaskResult::kOk);
        std::vector<int32_t> taken;
        for (size_t id = 0; id < pieces.size(); ++id) {
          const bool takes = !pieces[id].empty() && After(*cache, state, pieces[id]) > 0;
          ASSERT_EQ((mask[id / 32] >> (id % 32) & 1) != 0, takes)
              << ebnf << " token " << pieces[id];
          (takes ? allowed : forbidden) += 1;
          if (takes) taken.push_back(static_cast<int32_t>(id));
        }
        if (taken.empty()) break;
        state = After(*cache, state, pieces[static_cast<size_t>(taken[rng() % taken.size()])]);
      }
    }
  }
  EXPECT_GT(allowed, 10000);
  EXPECT_GT(forbidden, 10000);
}

TEST(MaskBuilderTest, TokensNamedByIdAreAllowedWhereTheyStand) {
  const std::vector<std::string> pieces = {"a", "", "b", ""};
  const TokenIndex index(pieces);
  const auto cache = NewCache("root ::= \"a\"* Token(3) \"b\"");
  WorkBudget work{kPlenty};
  std::vector<uint32_t> mask;
  ASSERT_EQ(BuildMask(index, cache.get(), Start(*cache), &work, &mask), MaskResult::kOk);
  EXPECT_EQ(mask[0], 0b1001u);
  const int32_t after = cache->NextToken(Start(*cache), 3, &work);
  EXPECT_EQ(cache->NextToken(after, 3, &work), StateCache::kDead);
  ASSERT_EQ(BuildMask(index, cache.get(), after, &work, &mask), MaskResult::kOk);
  EXPECT_EQ(mask[0], 0b0100u);
}

// Numbers of states and of places in a state that grow with the text come to an end.
TEST(StateCacheTest, HostileGrammarsMeetTheBudgetOrTheSizeLimit) {
  constexpr const char* kGrammars[] = {
      "root ::= [ab]* \"a\" [ab]{2000}",
      "root ::= a a a a\na ::= (b | b \"c\")* \"c\"?\nb ::= [a-z]{0,500} | \"(\" a \"c\"",
      "root ::= \"a\" root root | \"a\" root | \"a\"",
      "root ::= x x\nx ::= (\"a\" | \"a\" x \"b\" | \"a\" x \"c\")*",
      "root ::= ((\"a\"?){0,300}){0,300}"};
  std::mt19937 rng(13);
  const std::vector<std::string> pieces = Pieces(rng);
  const TokenIndex index(pieces);
  for (const char* ebnf : kGrammars) {
    const auto cache = NewCache(ebnf);
    ASSERT_NE(cache, nullptr);
    constexpr int64_t kLimit = 2'000'000;
    WorkBudget work{kLimit};
    int32_t state = cache->Start(&work);
    for (int i = 0; i < 400 && state > 0; ++i) {
      work = {kLimit};
      std::vector<uint32_t> mask;
      const MaskResult result = BuildMask(index, cache.get(), state, &work, &mask);
      // One step past the end of the budget is as much as a state has places and edges.
      EXPECT_GT(work.left, -kLimit) << ebnf;
      EXPECT_LT(cache->bytes(), StateCache::kMaxBytes + (1 << 20)) << ebnf;
      if (result != MaskResult::kOk) break;
      state = cache->NextByte(state, i % 3 == 2 ? 'b' : 'a', &work);
    }
  }
}

TEST(StateCacheTest, AStateIsTheSameInAnotherCache) {
  const std::string ebnf = "root ::= \"(\" root \")\" | \"[\" root? \"]\" | [a-z]+";
  const auto cache = NewCache(ebnf), other = NewCache(ebnf);
  WorkBudget work{kPlenty};
  After(*other, Start(*other), "[[(");  // so that their numbers differ
  for (const char* text : {"", "((", "([", "(([abc", "[[]"}) {
    const int32_t here = After(*cache, Start(*cache), text);
    const int32_t there = other->ImportFrom(*cache, here, &work);
    EXPECT_EQ(there, After(*other, Start(*other), text)) << text;
  }
}

}  // namespace
}  // namespace facet
