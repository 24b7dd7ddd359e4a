#include "model/tokenizer/bpe.h"

#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "model/tokenizer/testing/fixtures.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;

// An encoder of the code points 'a', 'b', .. (ids 0 ..), whose rules are pairs of ids; each rule
// makes the next id.
struct Toy {
  explicit Toy(int letters, bool cut_words) : cut(cut_words) {
    for (int i = 0; i < letters; ++i) texts.push_back(std::string(1, static_cast<char>('a' + i)));
  }
  void AddRule(int left, int right) {
    rules.push_back({left, right, static_cast<int32_t>(texts.size())});
    texts.push_back(texts[left] + texts[right]);
  }
  Bpe Build() const {
    CodePointTable code_points;
    NeighbourSet neighbours;
    for (size_t id = 0; id < texts.size(); ++id) {
      if (texts[id].size() == 1) code_points.Set(texts[id][0], static_cast<int32_t>(id));
      for (size_t i = 1; i < texts[id].size(); ++i) neighbours.Add(texts[id][i - 1], texts[id][i]);
    }
    Bpe::Options options;
    options.cut_words = cut;
    return Bpe(options, std::move(code_points), std::move(neighbours), rules);
  }
  // By the definition: the pair of lowest rank, leftmost, until there is none.
  std::vector<int32_t> EncodeNaively(const std::string& text) const {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(c - 'a');
    while (true) {
      size_t best_rule = rules.size(), best_at = 0;
      for (size_t at = 0; at + 1 < ids.size(); ++at) {
        for (size_t rule = 0; rule < best_rule; ++rule) {
          if (rules[rule].left == ids[at] && rules[rule].right == ids[at + 1]) {
            best_rule = rule;
            best_at = at;
          }
        }
      }
      if (best_rule == rules.size()) return ids;
      ids[best_at] = rules[best_rule].merged;
      ids.erase(ids.begin() + best_at + 1);
    }
  }

  bool cut;
  std::vector<std::string> texts;  // of each id
  std::vector<Bpe::MergeRule> rules;
};

// Lengths on both sides of the border between the two merge loops.
TEST(BpeTest, EqualsTheDefinitionForRandomRules) {
  std::mt19937 rng(4);
  for (int round = 0; round < 400; ++round) {
    const int letters = 1 + rng() % 3;
    Toy toy(letters, /*cut_words=*/rng() % 2 == 0);
    std::vector<std::vector<bool>> used(64, std::vector<bool>(64));
    for (int rules = rng() % 20; rules > 0; --rules) {
      const int left = rng() % toy.texts.size(), right = rng() % toy.texts.size();
      if (used[left][right]) continue;
      used[left][right] = true;
      toy.AddRule(left, right);
    }
    const Bpe bpe = toy.Build();
    Bpe::Work work;
    for (const int length : {1, 2, 3, 5, 8, 20, 63, 64, 65, 66, 150}) {
      std::string text;
      for (int i = 0; i < length; ++i) text += static_cast<char>('a' + rng() % letters);
      std::vector<int32_t> ids = {-7};  // Encode appends
      ASSERT_THAT(bpe.Encode(text, &work, &ids), IsOk());
      ids.erase(ids.begin());
      ASSERT_EQ(ids, toy.EncodeNaively(text)) << text;
    }
  }
}

// What a thread has learned with one tokenizer says nothing of another.
TEST(BpeTest, EncodersInTurnAndOnManyThreadsKeepTheirWordsApart) {
  Toy merges(2, /*cut_words=*/true), letters(2, /*cut_words=*/true);
  merges.AddRule(0, 1);
  const Bpe first = merges.Build(), second = letters.Build();
  const auto encode = [](const Bpe& bpe) {
    Bpe::Work work;
    std::vector<int32_t> ids;
    EXPECT_THAT(bpe.Encode("abab", &work, &ids), IsOk());
    return ids;
  };
  const auto take_turns = [&] {
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(encode(first), (std::vector<int32_t>{2, 2}));
      EXPECT_EQ(encode(second), (std::vector<int32_t>{0, 1, 0, 1}));
    }
  };
  std::thread other(take_turns);
  take_turns();
  other.join();
}

// Words of all lengths around that of the longest that is remembered, at the end of a text and not.
TEST(BpeTest, WordsThatAreMetAgainGiveTheSameIds) {
  Toy toy(3, /*cut_words=*/true);
  toy.AddRule(0, 0);
  toy.AddRule(3, 3);
  toy.AddRule(1, 4);
  const Bpe bpe = toy.Build();
  Bpe::Work work;
  for (int round = 0; round < 2; ++round) {
    for (size_t length = 0; length < 40; ++length) {
      const std::string word = "b" + std::string(length, 'a');
      for (const std::string& text : {word, word + "c", word + "c" + word, "c" + word}) {
        std::vector<int32_t> ids;
        ASSERT_THAT(bpe.Encode(text, &work, &ids), IsOk());
        ASSERT_EQ(ids, toy.EncodeNaively(text)) << text;
      }
    }
  }
}

TEST(BpeTest, CutsTheTextOnlyWhereNoPieceLiesAcross) {
  // "ab" and "bc" overlap; "b" never stands before "a" in a piece.
  Toy toy(3, /*cut_words=*/true);
  toy.AddRule(1, 2);
  toy.AddRule(0, 1);
  const Bpe bpe = toy.Build();
  Bpe::Work work;
  std::vector<int32_t> ids;
  ASSERT_THAT(bpe.Encode("abcabab", &work, &ids), IsOk());
  EXPECT_EQ(ids, (std::vector<int32_t>{0, 3, 4, 4}));
}

TEST(BpeTest, ACodePointWithoutAnyPieceIsAnError) {
  const Bpe bpe = Toy(2, true).Build();
  Bpe::Work work;
  std::vector<int32_t> ids;
  EXPECT_THAT(bpe.Encode("a\u65e5", &work, &ids),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("U+65E5")));
}

// The work for one line without a place to cut grows with its length, not with its square. Counted
// in steps, not in seconds: the machine may be busy.
TEST(BpeTest, TheWorkIsLinearInALineThatCannotBeCut) {
  Toy runs(1, true);  // a, aa, aaaa, .. : every run merges all the way up
  for (int id = 0; id < 8; ++id) runs.AddRule(id, id);
  Toy pairs(2, true);  // long pieces from a changing text
  pairs.AddRule(0, 1);
  pairs.AddRule(2, 2);
  pairs.AddRule(1, 0);
  pairs.AddRule(3, 3);
  for (const Toy& toy : {runs, pairs}) {
    const Bpe bpe = toy.Build();
    const auto steps = [&bpe, &toy](size_t length) {
      std::string text;
      while (text.size() < length) text += toy.texts.size() > 8 ? "a" : "abbaab";
      Bpe::Work work;
      std::vector<int32_t> ids;
      EXPECT_THAT(bpe.Encode(text, &work, &ids), IsOk());
      return work.steps;
    };
    const int64_t quarter = steps(300000), whole = steps(1200000);
    EXPECT_LE(whole, 4.1 * quarter);
    EXPECT_LE(whole, 4 * 1200000);
  }
}

TEST(BpeTest, TheWorkIsLinearInManyWords) {
  Toy toy(2, true);  // words of 64 "a" with a "b" between: the longest that merge without a heap
  for (const int id : {0, 2, 3, 4, 5, 6}) toy.AddRule(id, id);
  const Bpe bpe = toy.Build();
  std::string text;
  while (text.size() < 650000) text += std::string(64, 'a') + "b";
  Bpe::Work work;
  std::vector<int32_t> ids;
  ASSERT_THAT(bpe.Encode(text, &work, &ids), IsOk());
  EXPECT_EQ(ids.size(), 20000u);
  EXPECT_LE(work.steps, 64 * 650000);
}

}  // namespace
}  // namespace facet
