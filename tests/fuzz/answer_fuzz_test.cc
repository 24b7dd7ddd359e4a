// The fuzzer's function over random answers: the part of fuzzing that runs with the other tests.
// The seed is fixed, so a failure repeats.

#include "tests/fuzz/answer_fuzz.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "model/answer/testing/answer_corpus.h"
#include "model/answer/testing/parsed_answer.h"

namespace facet {
namespace {

using ::facet::testing::AnswerCorpus;
using ::facet::testing::AnswerIds;

// Pieces of answers in random order, or an answer of the corpus with a few tokens changed.
class AnswerGenerator {
 public:
  explicit AnswerGenerator(uint32_t seed) : random_(seed) {
    for (const char* piece : {"<|channel>",
                              "thought\n",
                              "<channel|>",
                              "<|tool_call>",
                              "<tool_call|>",
                              "call:",
                              "set",
                              "get{",
                              "{",
                              "}",
                              "[",
                              "]",
                              ":",
                              ",",
                              "<|\"|>",
                              "a",
                              "n:",
                              "s:",
                              "tags:",
                              "1",
                              "-1.5e3",
                              "true",
                              "null",
                              "\"",
                              "\\",
                              " ",
                              "\n",
                              "\u00E9",
                              "<turn|>",
                              "<bos>",
                              "<|image|>"}) {
      pieces_.push_back(AnswerIds(piece));
    }
    for (const std::string& text : AnswerCorpus()) corpus_.push_back(AnswerIds(text));
  }

  std::vector<int32_t> Next() {
    std::vector<int32_t> ids;
    if (Below(2) == 0) {
      for (size_t i = Below(40); i > 0; --i) Insert(&ids, ids.size());
      return ids;
    }
    ids = corpus_[Below(corpus_.size())];
    for (size_t i = 1 + Below(4); i > 0; --i) {
      const size_t at = Below(ids.size() + 1);
      if (Below(2) == 0) Insert(&ids, at);
      if (at < ids.size() && Below(2) == 0) ids.erase(ids.begin() + static_cast<long>(at));
      if (at < ids.size() && Below(4) == 0) ids[at] = static_cast<int32_t>(Below(520));
    }
    return ids;
  }
  size_t Below(size_t n) { return random_() % n; }

 private:
  void Insert(std::vector<int32_t>* ids, size_t at) {
    const std::vector<int32_t>& piece = pieces_[Below(pieces_.size())];
    ids->insert(ids->begin() + static_cast<long>(at), piece.begin(), piece.end());
  }

  std::mt19937 random_;
  std::vector<std::vector<int32_t>> pieces_, corpus_;
};

TEST(AnswerFuzzTest, AnyTokensAreParsedSoundly) {
  AnswerGenerator generator(1);
  size_t bytes = 0;
  for (int run = 0; run < 20'000; ++run) {
    const std::string input =
        AnswerFuzzInput(static_cast<uint8_t>(generator.Below(8)), generator.Next());
    SCOPED_TRACE(absl::StrCat("run ", run));
    FuzzAnswer(reinterpret_cast<const uint8_t*>(input.data()), input.size());
    bytes += input.size();
  }
  EXPECT_GT(bytes, 500'000u);
}

TEST(AnswerFuzzTest, AnyBytesAreParsedSoundly) {
  AnswerGenerator generator(2);
  for (int run = 0; run < 5'000; ++run) {
    std::string input(generator.Below(200), '\0');
    for (char& byte : input) byte = static_cast<char>(generator.Below(256));
    SCOPED_TRACE(absl::StrCat("run ", run));
    FuzzAnswer(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  }
}

}  // namespace
}  // namespace facet
