#include "model/tokenizer/known_words.h"

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace facet {
namespace {

// Few bytes, so that words share beginnings; among them the one that free slots are full of.
std::string RandomWord(std::mt19937& rng, size_t most) {
  std::string word(1 + rng() % most, '\0');
  for (char& c : word) c = "\0ab\xFF"[rng() % 4];
  return word;
}

TEST(KnownWordsTest, AWordIsFoundWithItsIdsOrNotAtAll) {
  std::mt19937 rng(3);
  KnownWords<16, 3, 6> words;
  std::map<std::string, std::vector<int32_t>> added;
  int found = 0;
  for (int round = 0; round < 20000; ++round) {
    const std::string word = RandomWord(rng, words.kMaxWordBytes);
    // The words of a text have others behind them, but for the last ones.
    const std::string text = word + std::string(rng() % 20, 'b');
    const auto ids =
        words.Find(absl::string_view(text).substr(0, word.size()), /*readable=*/text.size());
    if (!ids.empty()) {
      ++found;
      ASSERT_EQ(std::vector<int32_t>(ids.begin(), ids.end()), added[word]);
    }
    std::vector<int32_t>& of_word = added[word];
    of_word.clear();
    for (size_t i = 0; i < 1 + rng() % 3; ++i) of_word.push_back(static_cast<int32_t>(rng()));
    words.Add(word, of_word);
    const auto now = words.Find(word, word.size());
    ASSERT_EQ(std::vector<int32_t>(now.begin(), now.end()), of_word);
  }
  EXPECT_GT(found, 100);
}

TEST(KnownWordsTest, AWordOfTooManyIdsIsLeftOut) {
  KnownWords<32, 7, 4> words;
  const std::string word(words.kMaxWordBytes, 'x');
  words.Add(word, std::vector<int32_t>(8, 1));
  EXPECT_TRUE(words.Find(word, word.size()).empty());
  words.Add(word, std::vector<int32_t>(7, 1));
  EXPECT_EQ(words.Find(word, word.size()).size(), 7u);
}

}  // namespace
}  // namespace facet
