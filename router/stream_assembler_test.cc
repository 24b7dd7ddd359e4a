#include "router/stream_assembler.h"

#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/tokenizer/utf8.h"
#include "router/testing/test_model.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using testing::IdOf;
using ::testing::IsEmpty;

using Tokens = google::protobuf::RepeatedPtrField<internal::TokenOutput>;

class StreamAssemblerTest : public ::testing::Test {
 protected:
  StreamAssemblerTest() {
    spec_.stopping.set_max_tokens(1000);
    for (const int id : model_->generation.eos_token_ids) spec_.stopping.add_end_token_ids(id);
  }

  static Tokens MakeTokens(const std::vector<int32_t>& ids) {
    Tokens tokens;
    for (const int32_t id : ids) tokens.Add()->set_token_id(id);
    return tokens;
  }

  std::vector<int32_t> Encode(const std::string& text) const {
    return *model_->tokenizer->Encode(text, {});
  }

  int32_t ByteId(uint8_t byte) const {
    for (int32_t id = 0; id < model_->vocab_size(); ++id) {
      uint8_t value = 0;
      if (model_->tokenizer->IsByte(id, &value) && value == byte) return id;
    }
    return -1;
  }

  // Feeds chunks of tokens until a stop string matches; the deltas, none of them empty.
  std::vector<v1::Delta> Run(const std::vector<std::vector<int32_t>>& chunks,
                             std::string* matched = nullptr) {
    StreamAssembler assembler(model_.get(), spec_);
    std::vector<v1::Delta> deltas;
    bool stopped = false;
    for (const auto& chunk : chunks) {
      v1::Delta delta;
      stopped = assembler.Push(MakeTokens(chunk), &delta);
      if (!StreamAssembler::IsEmpty(delta)) deltas.push_back(delta);
      if (stopped) break;
    }
    v1::Delta last;
    if (!stopped) assembler.Finish(&last);
    if (!StreamAssembler::IsEmpty(last)) deltas.push_back(last);
    if (matched != nullptr) *matched = assembler.matched_stop();
    return deltas;
  }

  static std::string Text(const std::vector<v1::Delta>& deltas) {
    std::string text;
    for (const v1::Delta& delta : deltas) text += delta.text();
    return text;
  }

  static std::vector<int32_t> Ids(const std::vector<v1::Delta>& deltas) {
    std::vector<int32_t> ids;
    for (const v1::Delta& delta : deltas) {
      ids.insert(ids.end(), delta.token_ids().begin(), delta.token_ids().end());
    }
    return ids;
  }

  static std::vector<std::vector<int32_t>> OneByOne(const std::vector<int32_t>& ids) {
    std::vector<std::vector<int32_t>> chunks;
    for (const int32_t id : ids) chunks.push_back({id});
    return chunks;
  }

  std::unique_ptr<ServedModel> model_ = testing::MakeTestModel();
  GenerationSpec spec_;
};

TEST_F(StreamAssemblerTest, GivesTheTextThatWasEncoded) {
  const std::string text = "Hello,  world!\n\nCafé déjà vu: 123 😊 日本語";
  const std::vector<int32_t> ids = Encode(text);
  EXPECT_EQ(Text(Run(OneByOne(ids))), text);
  EXPECT_EQ(Ids(Run(OneByOne(ids))), ids);
}

TEST_F(StreamAssemblerTest, HoldsACodePointUntilItIsWhole) {
  // A family of three, joined by U+200D: 18 bytes, each a token of its own.
  const std::string family = "👩‍👩‍👧";
  std::vector<int32_t> ids;
  for (const char c : family) ids.push_back(ByteId(static_cast<uint8_t>(c)));
  const std::vector<v1::Delta> deltas = Run(OneByOne(ids));
  EXPECT_EQ(Text(deltas), family);
  EXPECT_EQ(deltas.size(), ids.size());  // each token id at once
  for (const v1::Delta& delta : deltas) {
    EXPECT_EQ(FindInvalidUtf8(delta.text()), std::nullopt);
    EXPECT_EQ(delta.text().find("\xEF\xBF\xBD"), std::string::npos);
  }
}

TEST_F(StreamAssemblerTest, AnIncompleteCodePointAtTheEndIsOneReplacementCharacter) {
  const std::vector<v1::Delta> deltas = Run(OneByOne({ByteId(0xF0), ByteId(0x9F), ByteId(0x98)}));
  EXPECT_EQ(Text(deltas), "\xEF\xBF\xBD");
  EXPECT_THAT(deltas.back().token_ids(), IsEmpty());
}

TEST_F(StreamAssemblerTest, EndTokensAndControlTokensAddNoText) {
  std::vector<int32_t> ids = Encode("yes");
  ids.push_back(IdOf(*model_, "<|turn>"));
  ids.push_back(IdOf(*model_, "<turn|>"));
  EXPECT_EQ(Text(Run(OneByOne(ids))), "yes");
  EXPECT_EQ(Ids(Run(OneByOne(ids))), ids);
  spec_.show_special = true;
  EXPECT_EQ(Text(Run(OneByOne(ids))), "yes<|turn><turn|>");
}

TEST_F(StreamAssemblerTest, AnEndTokenThatIsAnOrdinaryPieceIsHiddenUnlessEosIsIgnored) {
  const int32_t letter = Encode("Z").front();
  spec_.stopping.add_end_token_ids(letter);
  std::vector<int32_t> ids = Encode("a");
  ids.push_back(letter);
  EXPECT_EQ(Text(Run(OneByOne(ids))), "a");
  spec_.show_special = true;
  EXPECT_EQ(Text(Run(OneByOne(ids))), "a");
  spec_.stopping.set_ignore_eos(true);
  EXPECT_EQ(Text(Run(OneByOne(ids))), "aZ");
}

TEST_F(StreamAssemblerTest, AStopTokenOfTheCallerIsNeverText) {
  const int32_t letter = Encode("Z").front();
  spec_.stopping.add_stop_token_ids(letter);
  spec_.stopping.set_ignore_eos(true);
  spec_.show_special = true;
  std::vector<int32_t> ids = Encode("a");
  ids.push_back(letter);
  EXPECT_EQ(Text(Run(OneByOne(ids))), "a");
  EXPECT_EQ(Ids(Run(OneByOne(ids))), ids);
}

TEST_F(StreamAssemblerTest, AStopTokenEndsAnIncompleteCodePoint) {
  const int32_t letter = Encode("Z").front();
  spec_.stopping.add_stop_token_ids(letter);
  EXPECT_EQ(Text(Run({{ByteId(0xE2), letter}})), "\xEF\xBF\xBD");
}

TEST_F(StreamAssemblerTest, CutsBeforeAStopStringThatSpansTokens) {
  spec_.stop = {"lo, w"};
  std::string matched;
  const std::vector<int32_t> ids = Encode("Hello, world");
  const std::vector<v1::Delta> deltas = Run(OneByOne(ids), &matched);
  EXPECT_EQ(Text(deltas), "Hel");
  EXPECT_EQ(matched, "lo, w");
  // The tokens up to the one that completed it are reported.
  const std::vector<int32_t> got = Ids(deltas);
  EXPECT_LT(got.size(), ids.size());
  std::string reported;
  for (const int32_t id : got) reported += std::string(model_->tokenizer->IdToText(id));
  EXPECT_NE(reported.find("lo, w"), std::string::npos);
}

TEST_F(StreamAssemblerTest, DropsTokensBehindAStopStringInTheSameChunk) {
  spec_.stop = {"b"};
  std::vector<int32_t> ids = Encode("a");
  for (const std::string piece : {"b", "c", "d"}) ids.push_back(Encode(piece).front());
  ASSERT_EQ(ids.size(), 4u);
  const std::vector<v1::Delta> deltas = Run({ids});
  EXPECT_EQ(Text(deltas), "a");
  EXPECT_EQ(Ids(deltas).size(), 2u);
}

TEST_F(StreamAssemblerTest, ReleasesAHalfStopStringAtTheEnd) {
  spec_.stop = {"xyzzy"};
  EXPECT_EQ(Text(Run(OneByOne(Encode("magic xyz")))), "magic xyz");
}

TEST_F(StreamAssemblerTest, AStopStringMayBeTheReplacementOfWhatIsCutOff) {
  spec_.stop = {"\xEF\xBF\xBD"};
  std::string matched;
  EXPECT_EQ(Text(Run(OneByOne({ByteId(0xF0)}), &matched)), "");
  EXPECT_EQ(matched, "\xEF\xBF\xBD");
}

TEST_F(StreamAssemblerTest, StopStringsCountAfterMinTokens) {
  std::vector<int32_t> ids;
  for (const std::string piece : {"b", "a", "b", "c"}) ids.push_back(Encode(piece).front());
  spec_.stop = {"b"};
  spec_.stopping.set_min_tokens(2);
  EXPECT_EQ(Text(Run(OneByOne(ids))), "ba");
  EXPECT_EQ(Text(Run({ids})), "ba");
}

TEST_F(StreamAssemblerTest, LogprobsAreOneForEachToken) {
  spec_.logprobs = 2;
  Tokens tokens = MakeTokens({5, 6});
  tokens[0].set_logprob(-0.5f);
  for (const int32_t id : {5, 9, 7}) tokens[0].add_top_ids(id);
  for (const float value : {-0.5f, -1.5f, -2.5f}) tokens[0].add_top_logprobs(value);
  tokens[1].set_logprob(-3.0f);
  StreamAssembler assembler(model_.get(), spec_);
  v1::Delta delta;
  assembler.Push(tokens, &delta);
  ASSERT_EQ(delta.logprobs_size(), 2);
  EXPECT_EQ(delta.logprobs(0).token_id(), 5);
  EXPECT_EQ(delta.logprobs(0).logprob(), -0.5f);
  ASSERT_EQ(delta.logprobs(0).top_size(), 2);  // as many as were asked for
  EXPECT_EQ(delta.logprobs(0).top(1).token_id(), 9);
  EXPECT_EQ(delta.logprobs(0).top(1).logprob(), -1.5f);
  EXPECT_EQ(delta.logprobs(1).token_id(), 6);
  EXPECT_EQ(delta.logprobs(1).top_size(), 0);
}

TEST_F(StreamAssemblerTest, WithoutLogprobsThereAreNone) {
  EXPECT_EQ(Run({{5, 6}}).front().logprobs_size(), 0);
}

TEST_F(StreamAssemblerTest, WithoutTokenizerThereAreIdsAlone) {
  model_ = testing::MakeTestModel(/*with_tokenizer=*/false);
  const std::vector<v1::Delta> deltas = Run({{5, 6}, {7}});
  EXPECT_EQ(Text(deltas), "");
  EXPECT_THAT(Ids(deltas), ElementsAre(5, 6, 7));
}

// What a reader of the whole text would do: cut it before the match that ends first, of those that
// end together the one that begins first.
std::string CutPlainly(const std::string& text, const std::vector<std::string>& stops,
                       std::string* match) {
  for (size_t end = 1; end <= text.size(); ++end) {
    match->clear();
    for (const std::string& stop : stops) {
      if (stop.size() > end || text.compare(end - stop.size(), stop.size(), stop) != 0) continue;
      if (stop.size() > match->size()) *match = stop;
    }
    if (!match->empty()) return text.substr(0, end - match->size());
  }
  return text;
}

// Few letters, so that candidates overlap and begin again within each other; code points as one
// token or as bytes; every way to cut the tokens into two calls, and random ways into more.
TEST_F(StreamAssemblerTest, StopStringsCutAsAPlainSearchOfTheWholeTextDoes) {
  std::mt19937 random(11);
  spec_.stopping.set_ignore_eos(true);
  const std::vector<std::string> letters = {"a", "b", "é", "😊"};
  int matches = 0;
  for (int round = 0; round < 1500; ++round) {
    std::vector<int32_t> ids;
    for (size_t i = 0, n = 1 + random() % 16; i < n; ++i) {
      const std::string& letter = letters[random() % letters.size()];
      if (random() % 2) {
        for (const char c : letter) ids.push_back(ByteId(static_cast<uint8_t>(c)));
      } else {
        for (const int32_t id : Encode(letter)) ids.push_back(id);
      }
    }
    spec_.stop.clear();
    for (size_t i = 0, n = 1 + random() % 3; i < n; ++i) {
      std::string stop;
      for (size_t k = 0, size = 1 + random() % 4; k < size; ++k) {
        stop += letters[random() % letters.size()];
      }
      spec_.stop.push_back(stop);
    }
    std::string want_match;
    const std::string want =
        CutPlainly(model_->tokenizer->Decode(ids, /*skip_special=*/true), spec_.stop, &want_match);
    matches += want_match.empty() ? 0 : 1;
    const auto check = [&](const std::vector<std::vector<int32_t>>& chunks) {
      std::string match;
      const std::vector<v1::Delta> got = Run(chunks, &match);
      ASSERT_EQ(Text(got), want) << round;
      ASSERT_EQ(match, want_match) << round;
    };
    for (size_t cut = 0; cut <= ids.size(); ++cut) {
      check({{ids.begin(), ids.begin() + static_cast<ptrdiff_t>(cut)},
             {ids.begin() + static_cast<ptrdiff_t>(cut), ids.end()}});
    }
    check(OneByOne(ids));
  }
  EXPECT_GT(matches, 500);
}

// Whatever the tokens and however they are cut: same text, same ids, valid UTF-8, nothing empty.
TEST_F(StreamAssemblerTest, AnyChunkingOfTheSameTokensGivesTheSameAnswer) {
  std::mt19937 random(7);
  int stops = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<int32_t> ids;
    for (size_t i = 0, n = 1 + random() % 24; i < n; ++i) {
      // Every second token a byte: valid sequences, broken ones, and stop strings across both.
      const int32_t any = static_cast<int32_t>(random() % model_->vocab_size());
      ids.push_back(random() % 2 ? ByteId(static_cast<uint8_t>(random() % 256)) : any);
    }
    spec_.show_special = random() % 2;
    spec_.stopping.set_ignore_eos(random() % 2);
    spec_.stopping.set_min_tokens(random() % 3);
    spec_.stop.clear();
    const std::string whole = model_->tokenizer->Decode(ids, !spec_.show_special);
    if (random() % 2 && whole.size() > 8) {
      size_t begin = random() % (whole.size() - 4);
      std::string stop = whole.substr(begin, 1 + random() % 4);
      if (!FindInvalidUtf8(stop)) spec_.stop = {stop, "\xEF\xBF\xBD\xEF\xBF\xBD"};
    }
    std::string want_match;
    const std::vector<v1::Delta> want = Run({ids}, &want_match);
    stops += want_match.empty() ? 0 : 1;
    for (int chunking = 0; chunking < 3; ++chunking) {
      std::vector<std::vector<int32_t>> chunks;
      for (size_t i = 0; i < ids.size();) {
        const size_t size = std::min<size_t>(1 + random() % 5, ids.size() - i);
        chunks.emplace_back(ids.begin() + i, ids.begin() + i + size);
        i += size;
      }
      std::string match;
      const std::vector<v1::Delta> got = Run(chunks, &match);
      ASSERT_EQ(Text(got), Text(want)) << round;
      ASSERT_EQ(Ids(got), Ids(want)) << round;
      ASSERT_EQ(match, want_match) << round;
      for (const v1::Delta& delta : got) ASSERT_EQ(FindInvalidUtf8(delta.text()), std::nullopt);
    }
  }
  EXPECT_GT(stops, 200);
}

}  // namespace
}  // namespace facet
