#include "model/tokenizer/incremental_decoder.h"

#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/tokenizer/testing/fixtures.h"
#include "model/tokenizer/utf8.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

using ::facet::testing::RandomText;
using ::facet::testing::ReadFixture;
using ::testing::ElementsAre;

class IncrementalDecoderTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    tokenizer_ = Tokenizer::Parse(ReadFixture("small/tokenizer.json")).value().release();
  }
  static void TearDownTestSuite() { delete tokenizer_; }

  static int32_t Id(absl::string_view piece) { return tokenizer_->TokenToId(piece).value(); }
  static std::vector<int32_t> ByteIds(const std::string& bytes) {
    std::vector<int32_t> ids;
    for (const char c : bytes) ids.push_back(Id("<0x00>") + static_cast<uint8_t>(c));
    return ids;
  }
  // What each Push returns, then what Finish returns.
  static std::vector<std::string> Deltas(const std::vector<int32_t>& ids,
                                         bool skip_special = false) {
    IncrementalDecoder decoder(tokenizer_, skip_special);
    std::vector<std::string> deltas;
    for (const int32_t id : ids) deltas.push_back(decoder.Push(id));
    deltas.push_back(decoder.Finish());
    return deltas;
  }

  static Tokenizer* tokenizer_;
};
Tokenizer* IncrementalDecoderTest::tokenizer_ = nullptr;

TEST_F(IncrementalDecoderTest, ByteTokensAreTheBytesOfTheirNames) {
  for (int byte = 0; byte < 256; ++byte) {
    uint8_t value;
    ASSERT_TRUE(tokenizer_->IsByte(Id("<0x00>") + byte, &value));
    ASSERT_EQ(value, byte);
  }
}

TEST_F(IncrementalDecoderTest, ACodePointIsHeldUntilItIsWhole) {
  EXPECT_THAT(Deltas(ByteIds("\U0001FAE9")), ElementsAre("", "", "", "\U0001FAE9", ""));
  EXPECT_THAT(Deltas(ByteIds("\u65e5\u00e9x")),
              ElementsAre("", "", "\u65e5", "", "\u00e9", "x", ""));
}

TEST_F(IncrementalDecoderTest, ATruncatedCodePointGivesOneReplacementAtTheEnd) {
  EXPECT_THAT(Deltas(ByteIds("\xF0\x9F\x98")), ElementsAre("", "", "", "\uFFFD"));
  EXPECT_THAT(Deltas(ByteIds("\xC3")), ElementsAre("", "\uFFFD"));
}

TEST_F(IncrementalDecoderTest, ATruncatedCodePointGivesOneReplacementBeforeTheNextToken) {
  std::vector<int32_t> ids = ByteIds("\xF0\x9F");
  ids.push_back(Id("\u2581the"));
  ids.push_back(ByteIds("\x8A")[0]);  // comes too late
  EXPECT_THAT(Deltas(ids), ElementsAre("", "", "\uFFFD the", "\uFFFD", ""));
}

TEST_F(IncrementalDecoderTest, BytesThatFitNowhereGiveOneReplacementEach) {
  EXPECT_THAT(Deltas(ByteIds("\xFF\x80\xC0")), ElementsAre("\uFFFD", "\uFFFD", "\uFFFD", ""));
  EXPECT_THAT(Deltas(ByteIds("\xED\xA0\x80")), ElementsAre("", "\uFFFD\uFFFD", "\uFFFD", ""));
}

TEST_F(IncrementalDecoderTest, AByteThatDoesNotFitMayBeginTheNextCodePoint) {
  EXPECT_THAT(Deltas(ByteIds("\xE2\x96\xC3\xA9")), ElementsAre("", "", "\uFFFD", "\u00e9", ""));
}

TEST_F(IncrementalDecoderTest, SpecialTokensAddTheirNameOrNothing) {
  const std::vector<int32_t> ids = {Id("<bos>"), Id("\u2581the"), Id("<turn|>")};
  EXPECT_THAT(Deltas(ids, false), ElementsAre("<bos>", " the", "<turn|>", ""));
  EXPECT_THAT(Deltas(ids, true), ElementsAre("", " the", "", ""));
}

TEST_F(IncrementalDecoderTest, ASkippedSpecialTokenStillEndsACodePoint) {
  std::vector<int32_t> ids = ByteIds("\xC3");
  ids.push_back(Id("<eos>"));
  ids.push_back(ByteIds("\xA9")[0]);
  EXPECT_THAT(Deltas(ids, true), ElementsAre("", "\uFFFD", "\uFFFD", ""));
}

TEST_F(IncrementalDecoderTest, IdsOutsideTheVocabularyAddNothing) {
  EXPECT_THAT(Deltas({-1, tokenizer_->vocab_size(), 2147483647, -2147483647 - 1}),
              ElementsAre("", "", "", "", ""));
  std::vector<int32_t> ids = ByteIds("\xC3");
  ids.push_back(tokenizer_->vocab_size());
  EXPECT_THAT(Deltas(ids), ElementsAre("", "\uFFFD", ""));
}

TEST_F(IncrementalDecoderTest, MayBeUsedAgainAfterFinish) {
  IncrementalDecoder decoder(tokenizer_, false);
  decoder.Push(ByteIds("\xC3")[0]);
  EXPECT_EQ(decoder.Finish(), "\uFFFD");
  EXPECT_EQ(decoder.Push(ByteIds("\xA9")[0]), "\uFFFD");
  EXPECT_EQ(decoder.Finish(), "");
}

// Byte runs against CPython's decoder with errors="replace".
TEST_F(IncrementalDecoderTest, ReplacesBadBytesAsUnicodeRecommends) {
  const auto fixture = nlohmann::json::parse(ReadFixture("utf8_runs.json"));
  int runs = 0;
  for (const auto& row : fixture["runs"]) {
    const std::string hex = row[0];
    std::string bytes;
    for (size_t i = 0; i < hex.size(); i += 2) {
      bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    ASSERT_EQ(tokenizer_->Decode(ByteIds(bytes), false), row[1].get<std::string>()) << hex;
    ++runs;
  }
  EXPECT_GE(runs, 2000);
}

// Whatever the ids are: every delta is valid UTF-8, at most 3 bytes are held back, and the whole is
// what decoding the bytes between other tokens gives.
TEST_F(IncrementalDecoderTest, RandomIdsGiveValidTextAsTheyCome) {
  std::mt19937 rng(5);
  for (int round = 0; round < 2000; ++round) {
    const bool skip_special = rng() % 2 == 0;
    IncrementalDecoder decoder(tokenizer_, skip_special);
    std::string text, expected, run;
    const auto end_run = [&expected, &run] {  // bad bytes replaced, by Utf8Step's maximal subparts
      for (absl::string_view rest = run; !rest.empty();) {
        const Utf8Step step = StepUtf8(rest);
        expected +=
            step.kind == Utf8Kind::kWhole ? std::string(rest.substr(0, step.size)) : "\uFFFD";
        rest.remove_prefix(step.size);
      }
      run.clear();
    };
    std::vector<int32_t> ids;
    for (int n = rng() % 20; n >= 0; --n) {
      ids.push_back(rng() % 3 == 0 ? static_cast<int32_t>(rng() % 520) - 4
                                   : ByteIds(std::string(
                                         1, "\xF0\x9F\x98\x8A\xE6\x97\xA5\x41"[rng() % 8]))[0]);
    }
    for (const int32_t id : ids) {
      const std::string delta = decoder.Push(id);
      ASSERT_EQ(FindInvalidUtf8(delta), std::nullopt);
      text += delta;
      uint8_t byte;
      if (tokenizer_->IsByte(id, &byte)) {
        run += static_cast<char>(byte);
        continue;
      }
      end_run();
      if (!skip_special || !tokenizer_->IsSpecial(id))
        expected += std::string(tokenizer_->IdToText(id));
      ASSERT_EQ(text, expected);  // nothing is held back behind a whole token
    }
    end_run();
    text += decoder.Finish();
    ASSERT_EQ(text, expected);
    ASSERT_EQ(tokenizer_->Decode(ids, skip_special), expected);
  }
}

TEST_F(IncrementalDecoderTest, AStreamGivesTheTextThatWasEncoded) {
  std::mt19937 rng(6);
  for (int round = 0; round < 300; ++round) {
    const std::string text = RandomText(rng, 30);
    const std::vector<int32_t> ids = tokenizer_->Encode(text, {}).value();
    std::string streamed;
    for (const std::string& delta : Deltas(ids)) streamed += delta;
    ASSERT_EQ(streamed, text);
  }
}

}  // namespace
}  // namespace facet
