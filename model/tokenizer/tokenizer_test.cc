#include "model/tokenizer/tokenizer.h"

#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/tokenizer/testing/fixtures.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::NaiveEncoder;
using ::facet::testing::RandomText;
using ::facet::testing::ReadFixture;
using ::facet::testing::StatusIs;
using ::facet::testing::TinyTokenizer;
using ::testing::HasSubstr;
using Ids = std::vector<int32_t>;
using Json = nlohmann::json;
using Ranges = std::vector<std::pair<size_t, size_t>>;

std::unique_ptr<Tokenizer> Fixture(const std::string& name) {
  return Tokenizer::Parse(ReadFixture(name)).value();
}

// ---- The ids of the Hugging Face library ----

class GoldenTest : public ::testing::TestWithParam<std::string> {
 protected:
  GoldenTest()
      : tokenizer_(Fixture(GetParam() + "/tokenizer.json")),
        expected_(Json::parse(ReadFixture(GetParam() + "/expected.json"))) {}
  std::unique_ptr<Tokenizer> tokenizer_;
  Json expected_;
};

TEST_P(GoldenTest, EveryTextHasTheIdsOfTheReference) {
  EXPECT_GE(expected_["texts"].size(), 140u);
  for (const Json& row : expected_["texts"]) {
    const std::string text = row["text"];
    const auto parsed = tokenizer_->Encode(text, {.parse_special = true});
    ASSERT_THAT(parsed, IsOk());
    EXPECT_EQ(*parsed, row["ids"].get<Ids>()) << text;
    const auto plain = tokenizer_->Encode(text, {});
    ASSERT_THAT(plain, IsOk());
    EXPECT_EQ(*plain, row.value("plain_ids", row["ids"]).get<Ids>()) << "as plain text: " << text;
  }
}

TEST_P(GoldenTest, EveryTextIsDecodedAsByTheReference) {
  for (const Json& row : expected_["texts"]) {
    const Ids ids = row["ids"];
    EXPECT_EQ(tokenizer_->Decode(ids, false), row["decoded"].get<std::string>());
    EXPECT_EQ(tokenizer_->Decode(ids, true), row["decoded_without_special"].get<std::string>());
  }
}

TEST_P(GoldenTest, StretchesFromACallerHoldNoSpecialTokens) {
  for (const Json& row : expected_["with_plain_ranges"]) {
    const std::string text = row["text"];
    const auto ids = tokenizer_->EncodeWithPlainRanges(text, row["plain_ranges"].get<Ranges>());
    ASSERT_THAT(ids, IsOk());
    EXPECT_EQ(*ids, row["ids"].get<Ids>()) << text << " " << row["plain_ranges"];
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GoldenTest, ::testing::Values("small", "crossing"),
                         [](const auto& info) { return info.param; });

TEST(GoldenVariantsTest, EveryPeculiarTokenizerGivesTheIdsOfTheReference) {
  const Json fixture = Json::parse(ReadFixture("variants.json"));
  EXPECT_GE(fixture["variants"].size(), 10u);
  for (const Json& variant : fixture["variants"]) {
    const auto tokenizer = Tokenizer::Parse(variant["tokenizer"].dump());
    ASSERT_THAT(tokenizer, IsOk()) << variant["name"];
    for (size_t i = 0; i < variant["texts"].size(); ++i) {
      const std::string text = variant["texts"][i];
      const auto ids = (*tokenizer)->Encode(text, {});
      ASSERT_THAT(ids, IsOk()) << variant["name"] << text;
      ASSERT_EQ(*ids, variant["ids"][i].get<Ids>()) << variant["name"] << " \"" << text << '"';
    }
  }
}

// ---- The interface ----

TEST(TokenizerTest, KnowsItsIds) {
  const auto tokenizer = Fixture("small/tokenizer.json");
  EXPECT_EQ(tokenizer->vocab_size(), 512);
  EXPECT_FALSE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->TokenToId("<bos>"), 2);
  EXPECT_EQ(tokenizer->TokenToId("<no such piece>"), std::nullopt);
  EXPECT_EQ(tokenizer->TokenToId(" the"), std::nullopt);
  const int32_t the = tokenizer->TokenToId("\u2581the").value();
  EXPECT_EQ(tokenizer->IdToText(the), " the");
  EXPECT_EQ(tokenizer->IdToText(2), "<bos>");
  EXPECT_EQ(tokenizer->IdToText(tokenizer->TokenToId("<0xE2>").value()), "<0xE2>");
  EXPECT_TRUE(tokenizer->IsSpecial(2));
  EXPECT_FALSE(tokenizer->IsSpecial(the));
  int special = 0, bytes = 0;
  for (int id = 0; id < tokenizer->vocab_size(); ++id) {
    special += tokenizer->IsSpecial(id);
    bytes += tokenizer->IsByte(id, nullptr);
  }
  EXPECT_EQ(special, 24);
  EXPECT_EQ(bytes, 256);
}

TEST(TokenizerTest, IdsOutsideTheVocabularyAreNothing) {
  const auto tokenizer = Fixture("small/tokenizer.json");
  for (const int32_t id : {-1, 512, 2147483647, -2147483647 - 1}) {
    EXPECT_FALSE(tokenizer->IsSpecial(id));
    EXPECT_FALSE(tokenizer->IsByte(id, nullptr));
    EXPECT_EQ(tokenizer->IdToText(id), "");
  }
}

TEST(TokenizerTest, SaysThatTheFileWantsABos) {
  const auto tokenizer = Fixture("crossing/tokenizer.json");
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->Encode("", {}).value(), Ids{}) << "Encode itself adds nothing";
}

TEST(TokenizerTest, AddedTokensBehindTheVocabularyCount) {
  Json file = TinyTokenizer();
  file["added_tokens"] = Json::parse(R"([{"id": 3, "content": "<x>", "special": true}])");
  const auto tokenizer = Tokenizer::Parse(file.dump());
  ASSERT_THAT(tokenizer, IsOk());
  EXPECT_EQ((*tokenizer)->vocab_size(), 4);
  EXPECT_EQ((*tokenizer)->Encode("ab<x>a", {.parse_special = true}).value(), (Ids{2, 3, 0}));
}

TEST(TokenizerTest, TextThatIsNotUtf8IsRefusedWithItsOffset) {
  const auto tokenizer = Fixture("small/tokenizer.json");
  EXPECT_THAT(
      tokenizer->Encode("caf\u00e9 \xC3(", {}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not valid UTF-8 at byte offset 6")));
  EXPECT_THAT(tokenizer->EncodeWithPlainRanges("\xFF", {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("byte offset 0")));
}

TEST(TokenizerTest, ATextOverTheLimitIsRefused) {
  const auto tokenizer = Fixture("small/tokenizer.json");
  const std::string text(Tokenizer::kMaxTextBytes + 1, 'x');
  EXPECT_THAT(tokenizer->Encode(text, {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("268435457 bytes long; the limit is 268435456")));
}

TEST(TokenizerTest, PlainRangesMustAscendWithinTheText) {
  const auto tokenizer = Fixture("small/tokenizer.json");
  const std::vector<Ranges> bad = {
      {{0, 5}}, {{3, 2}}, {{0, 2}, {1, 3}}, {{2, 3}, {0, 1}}, {{4, 5}}};
  for (const Ranges& ranges : bad) {
    EXPECT_THAT(tokenizer->EncodeWithPlainRanges("text", ranges),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("plain range")));
  }
  EXPECT_THAT(tokenizer->EncodeWithPlainRanges("text", Ranges{{0, 0}, {0, 2}, {2, 4}, {4, 4}}),
              IsOk());
}

// ---- Files that are not sound ----

struct BadFileCase {
  std::string name;
  std::function<void(Json&)> damage;  // of TinyTokenizer()
  absl::StatusCode code;
  std::string message;
};
class BadTokenizerFileTest : public ::testing::TestWithParam<BadFileCase> {};

TEST_P(BadTokenizerFileTest, IsRefusedWithTheReason) {
  Json file = TinyTokenizer();
  ASSERT_THAT(Tokenizer::Parse(file.dump()), IsOk());
  GetParam().damage(file);
  EXPECT_THAT(Tokenizer::Parse(file.dump()),
              StatusIs(GetParam().code, HasSubstr(GetParam().message)));
}

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

INSTANTIATE_TEST_SUITE_P(
    Cases, BadTokenizerFileTest,
    ::testing::ValuesIn(std::vector<BadFileCase>{
        {"hole", [](Json& f) { f["model"]["vocab"]["ab"] = 3; }, kInvalid, "without holes"},
        {"one_id_twice", [](Json& f) { f["model"]["vocab"]["ab"] = 1; }, kInvalid,
         "id 1 is given to"},
        {"merge_of_unknown_left",
         [](Json& f) {
           f["model"]["merges"].push_back({"x", "b"});
         },
         kInvalid, "model.merges[1] names \"x\""},
        {"merge_of_unknown_right",
         [](Json& f) {
           f["model"]["merges"].push_back({"a", "y"});
         },
         kInvalid, "model.merges[1] names \"y\""},
        {"merge_into_unknown",
         [](Json& f) {
           f["model"]["merges"].push_back({"b", "a"});
         },
         kInvalid, "model.merges[1] names \"ba\""},
        {"added_token_takes_an_id",
         [](Json& f) {
           f["added_tokens"].push_back({{"id", 1}, {"content", "<x>"}});
         },
         kInvalid, "id 1 is given to \"b\" and to \"<x>\""},
        {"added_token_far_off",
         [](Json& f) {
           f["added_tokens"].push_back({{"id", 9}, {"content", "<x>"}});
         },
         kInvalid, "\"<x>\" has id 9"},
        {"added_token_disagrees",
         [](Json& f) {
           f["added_tokens"].push_back({{"id", 2}, {"content", "a"}});
         },
         kInvalid, "added token \"a\" has id 2, but the piece has id 0"},
        {"unk_is_no_piece", [](Json& f) { f["model"]["unk_token"] = "<unk>"; }, kInvalid,
         "model.unk_token \"<unk>\" is no piece"},
        {"some_byte_pieces",
         [](Json& f) {
           f["model"]["byte_fallback"] = true;
           f["model"]["vocab"]["<0x41>"] = 3;
         },
         kInvalid, "only 1 of the 256 byte pieces"},
        {"unsupported",
         [](Json& f) {
           f["normalizer"] = {{"type", "NFC"}};
         },
         absl::StatusCode::kUnimplemented, "normalizer is of type NFC"},
        {"vocab_gone", [](Json& f) { f["model"].erase("vocab"); }, kInvalid, "model.vocab"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(TokenizerLoadTest, EveryCutOffFileIsRefused) {
  const std::string file = TinyTokenizer().dump();
  for (size_t size = 0; size < file.size(); ++size) {
    ASSERT_THAT(Tokenizer::Parse(file.substr(0, size)), StatusIs(kInvalid)) << size;
  }
}

TEST(TokenizerLoadTest, ADamagedFileIsRefusedOrWorksButNeverCrashes) {
  std::mt19937 rng(7);
  const std::string whole =
      Json::parse(ReadFixture("variants.json"))["variants"][0]["tokenizer"].dump();
  const std::string interesting = "{}[]\",:0189-ab\\u \xFF";
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string file = whole;
    for (int n = rng() % 3; n >= 0; --n)
      file[rng() % file.size()] = interesting[rng() % interesting.size()];
    const auto tokenizer = Tokenizer::Parse(file);
    refused += !tokenizer.ok();
    if (tokenizer.ok()) (*tokenizer)->Encode("abcabccab", {}).status().IgnoreError();
  }
  EXPECT_GE(refused, 1000);
  EXPECT_LE(refused, 2999);
}

TEST(TokenizerLoadTest, NamesTheFileInItsErrors) {
  EXPECT_THAT(
      Tokenizer::Load("no/such/tokenizer.json"),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("no/such/tokenizer.json: No such file")));
  EXPECT_FALSE(Tokenizer::Load("/").ok());
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/bad.json";
  std::ofstream(path) << "{}";
  EXPECT_THAT(Tokenizer::Load(path),
              StatusIs(kInvalid, HasSubstr(path + ": tokenizer file: model.vocab")));
  EXPECT_THAT(Tokenizer::Load("tests/golden/tokenizer/small/tokenizer.json"), IsOk());
}

// ---- What holds for every text ----

TEST(TokenizerPropertyTest, EqualsTheDefinitionOnRandomTexts) {
  std::mt19937 rng(8);
  Json file = Json::parse(ReadFixture("small/tokenizer.json"));
  const NaiveEncoder naive(file);
  const auto tokenizer = Tokenizer::Parse(file.dump()).value();
  for (int round = 0; round < 1500; ++round) {
    const std::string text = RandomText(rng, 1 + rng() % 60);
    ASSERT_EQ(tokenizer->Encode(text, {}).value(), naive.Encode(text)) << text;
  }
}

// Small random vocabularies, in which pieces lie across spaces, newlines and scripts.
TEST(TokenizerPropertyTest, EqualsTheDefinitionForRandomVocabularies) {
  std::mt19937 rng(9);
  const std::vector<std::string> letters = {"a",      "b",      "\u2581",    "\n",
                                            "\u00e9", "\u65e5", "\U0001F60A"};
  for (int round = 0; round < 300; ++round) {
    Json file = TinyTokenizer();
    file["normalizer"] = {
        {"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}};
    std::vector<std::string> pieces = letters;
    std::map<std::string, int> vocab;
    for (size_t i = 0; i < letters.size(); ++i) vocab[letters[i]] = static_cast<int>(i);
    Json merges = Json::array();
    for (int n = rng() % 25; n > 0; --n) {
      const std::string left = pieces[rng() % pieces.size()], right = pieces[rng() % pieces.size()];
      if (left.size() + right.size() > 200 || vocab.count(left + right) != 0) continue;
      vocab.emplace(left + right, static_cast<int>(vocab.size()));
      pieces.push_back(left + right);
      merges.push_back({left, right});
    }
    file["model"]["vocab"] = vocab;
    file["model"]["merges"] = merges;
    const auto tokenizer = Tokenizer::Parse(file.dump()).value();
    const NaiveEncoder naive(file);
    for (int i = 0; i < 30; ++i) {
      std::string text;
      for (int n = rng() % (i % 5 == 0 ? 150 : 30); n >= 0; --n)
        text += letters[rng() % letters.size()];
      ASSERT_EQ(tokenizer->Encode(text, {}).value(), naive.Encode(text)) << file << text;
    }
  }
}

TEST(TokenizerPropertyTest, DecodingGivesTheTextBack) {
  std::mt19937 rng(10);
  const auto tokenizer = Fixture("small/tokenizer.json");
  for (int round = 0; round < 1500; ++round) {
    const std::string text = RandomText(rng, 1 + rng() % 100);
    ASSERT_EQ(tokenizer->Decode(tokenizer->Encode(text, {}).value(), false), text);
    ASSERT_EQ(tokenizer->Decode(tokenizer->Encode(text, {.parse_special = true}).value(), false),
              text);
    const std::string marked = text + "\u2581";  // the one lossy case
    ASSERT_EQ(tokenizer->Decode(tokenizer->Encode(marked, {}).value(), false), text + " ");
  }
}

TEST(TokenizerPropertyTest, PlainTextNeverYieldsASpecialToken) {
  std::mt19937 rng(11);
  const auto tokenizer = Fixture("small/tokenizer.json");
  const std::vector<std::string> bits = {"<|turn>", "<turn|>", "<bos>", "<eos>", "<|\"|>", "<|",
                                         "|>",      "<",       " ",     "x",     "\n"};
  int specials_of_the_template = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    Ranges ranges;
    size_t template_bits = 0;
    for (int n = rng() % 8; n >= 0; --n) {
      const std::string& bit = bits[rng() % bits.size()];
      if (rng() % 2 == 0) {
        ranges.push_back({text.size(), text.size() + bit.size()});
      } else {
        ++template_bits;
      }
      text += bit;
    }
    const Ids plain = tokenizer->Encode(text, {}).value();
    for (const int32_t id : plain) ASSERT_FALSE(tokenizer->IsSpecial(id)) << text;
    const Ids ids = tokenizer->EncodeWithPlainRanges(text, ranges).value();
    size_t specials = 0;
    for (const int32_t id : ids) specials += tokenizer->IsSpecial(id);
    ASSERT_LE(specials, template_bits) << text;
    specials_of_the_template += specials;
    const Ranges everything = {{0, text.size()}};
    ASSERT_EQ(tokenizer->EncodeWithPlainRanges(text, everything).value(), plain);
    ASSERT_EQ(tokenizer->EncodeWithPlainRanges(text, {}).value(),
              tokenizer->Encode(text, {.parse_special = true}).value());
  }
  EXPECT_GE(specials_of_the_template, 500);
}

TEST(TokenizerPropertyTest, AMergeRuleThatFormsAControlTokenIsLeftOut) {
  Json file = TinyTokenizer();
  file["model"]["vocab"] = {{"a", 0}, {"b", 1}, {"ab", 2}, {"aa", 3}};
  file["model"]["merges"] = Json::parse(R"([["a", "a"], ["a", "b"]])");
  file["added_tokens"] = Json::parse(R"([{"id": 2, "content": "ab", "special": true}])");
  const auto tokenizer = Tokenizer::Parse(file.dump());
  ASSERT_THAT(tokenizer, IsOk());
  EXPECT_EQ((*tokenizer)->Encode("abaab", {}).value(), (Ids{0, 1, 3, 1}));
  EXPECT_EQ((*tokenizer)->Encode("abaab", {.parse_special = true}).value(), (Ids{2, 0, 2}));
}

TEST(TokenizerPropertyTest, ASpecialTokenOfOneCharacterIsBytesInPlainText) {
  Json file = Json::parse(ReadFixture("small/tokenizer.json"));
  const int32_t at = file["model"]["vocab"]["@"];
  file["added_tokens"].push_back({{"id", at}, {"content", "@"}, {"special", true}});
  const auto tokenizer = Tokenizer::Parse(file.dump());
  ASSERT_THAT(tokenizer, IsOk());
  EXPECT_EQ((*tokenizer)->Encode("@", {}).value(), Ids{(*tokenizer)->TokenToId("<0x40>").value()});
  EXPECT_EQ((*tokenizer)->Encode("@", {.parse_special = true}).value(), Ids{at});
}

TEST(TokenizerPropertyTest, RandomBytesAreRefusedOrEncoded) {
  std::mt19937 rng(12);
  const auto tokenizer = Fixture("small/tokenizer.json");
  int valid = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string bytes;
    for (int n = rng() % 6; n >= 0; --n)
      bytes += static_cast<char>(rng() % 2 == 0 ? rng() % 128 : rng() % 256);
    const auto ids = tokenizer->Encode(bytes, {});
    if (!ids.ok()) continue;
    ++valid;
    ASSERT_EQ(tokenizer->Decode(*ids, false), bytes);
  }
  EXPECT_GE(valid, 500);
  EXPECT_LE(valid, 4500);
}

// ---- Size and threads ----

struct LongLineCase {
  std::string name;
  std::string fixture;
  std::string unit;  // repeated to 2 MB
};
class OneLongLineTest : public ::testing::TestWithParam<LongLineCase> {};

TEST_P(OneLongLineTest, OfTwoMegabytesIsEncodedAndDecoded) {
  std::string text;
  while (text.size() < 2000000) text += GetParam().unit;
  const auto tokenizer = Fixture(GetParam().fixture + "/tokenizer.json");
  const auto ids = tokenizer->Encode(text, {.parse_special = true});
  ASSERT_THAT(ids, IsOk());
  EXPECT_TRUE(tokenizer->Decode(*ids, false) == text);
}

INSTANTIATE_TEST_SUITE_P(
    Texts, OneLongLineTest,
    ::testing::ValuesIn(std::vector<LongLineCase>{
        {"x", "small", "x"},
        {"spaces", "small", " "},
        {"newlines", "small", "\n"},
        {"tabs", "small", "\t"},
        {"words_without_spaces", "small", "theharbourstorm"},
        {"long_pieces", "crossing", "Le gardien du phare a compt\u00e9 les bateaux"},
        {"less_than", "small", "<"},
        {"nearly_control_tokens", "small", "<|tool_response"},
        {"control_tokens", "small", "<|turn>"},
        {"cjk", "small", "\u65e5\u672c\u8a9e\u306e\u4e2d\u4eba"},
        {"cjk_without_pieces", "small", "\u9f8d"},
        {"emoji", "small", "\U0001F60A"},
        {"emoji_families", "small", "\U0001F469\u200d\U0001F469\u200d\U0001F467"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(TokenizerThreadsTest, ManyThreadsEncodeTheSame) {
  const auto tokenizer = Fixture("small/tokenizer.json");
  std::mt19937 rng(13);
  std::vector<std::string> texts;
  std::vector<Ids> expected;
  for (int i = 0; i < 100; ++i) {
    texts.push_back(RandomText(rng, 80));
    expected.push_back(tokenizer->Encode(texts.back(), {}).value());
  }
  std::vector<int> wrong(8);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 100; ++i) {
        const int at = (i * 7 + t * 13) % 100;
        const auto ids = tokenizer->Encode(texts[at], {});
        wrong[t] +=
            !ids.ok() || *ids != expected[at] || tokenizer->Decode(*ids, false) != texts[at];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ::testing::Each(0));
}

// The tables have room for ids below 2^20.
TEST(TokenizerLimitsTest, MorePiecesThanTheTablesHoldAreRefused) {
  constexpr int kMost = 1 << 20;
  std::string vocab;
  for (int id = 3; id < kMost; ++id) {
    vocab += ", \"p" + std::to_string(id) + "\": " + std::to_string(id);
  }
  const auto parse = [&](const std::string& more) {
    return Tokenizer::Parse(
               R"({"added_tokens": [], "normalizer": null, "pre_tokenizer": null,
                   "post_processor": null, "decoder": null, "model": {"type": "BPE",
                   "vocab": {"a": 0, "b": 1, "ab": 2)" +
               vocab + more + R"(}, "merges": [["a", "b"]]}})")
        .status();
  };
  EXPECT_THAT(parse(""), IsOk());
  EXPECT_THAT(parse(", \"q\": " + std::to_string(kMost)),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("at most 1048576")));
}

}  // namespace
}  // namespace facet
