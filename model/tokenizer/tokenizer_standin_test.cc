// The full-size tokenizer of the family: 262,144 pieces, 514,906 merges. Its file is too large for
// the tree; the test runs where FACET_SHARED_DIR names the folder that holds data/ with it.

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "model/tokenizer/incremental_decoder.h"
#include "model/tokenizer/testing/fixtures.h"
#include "model/tokenizer/tokenizer.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::NaiveEncoder;
using ::facet::testing::RandomText;
using Ids = std::vector<int32_t>;
using Json = nlohmann::json;

std::string DataDir() {
  const char* shared = std::getenv("FACET_SHARED_DIR");
  return shared == nullptr || *shared == '\0' ? "" : std::string(shared) + "/data";
}

// What `command` prints; empty if it fails.
std::string OutputOf(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  std::string output;
  std::vector<char> block(1 << 20);
  while (const size_t size = fread(block.data(), 1, block.size(), pipe))
    output.append(block.data(), size);
  return pclose(pipe) == 0 ? output : "";
}

class TokenizerStandinTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (DataDir().empty()) return;
    const std::string file = "'" + DataDir() + "/tokenizer-standin.json.xz'";
    json_ = OutputOf("xz -dc " + file + " 2>&-");
    if (json_.empty()) {
      json_ = OutputOf(
          "python3 -c 'import lzma, sys; sys.stdout.buffer.write(lzma.open(sys.argv[1]).read())' " +
          file);
    }
    auto tokenizer = Tokenizer::Parse(json_);
    status_ = tokenizer.status();
    if (tokenizer.ok()) tokenizer_ = std::move(*tokenizer);
  }
  static void TearDownTestSuite() {
    tokenizer_.reset();
    json_.clear();
  }
  void SetUp() override {
    if (DataDir().empty()) GTEST_SKIP() << "FACET_SHARED_DIR is not set";
    ASSERT_THAT(status_, IsOk()) << "from " << json_.size() << " bytes";
  }

  static std::string json_;
  static absl::Status status_;
  static std::unique_ptr<Tokenizer> tokenizer_;
};
std::string TokenizerStandinTest::json_;
absl::Status TokenizerStandinTest::status_;
std::unique_ptr<Tokenizer> TokenizerStandinTest::tokenizer_;

TEST_F(TokenizerStandinTest, EveryGoldenTextHasTheIdsOfTheReference) {
  EXPECT_EQ(tokenizer_->vocab_size(), 262144);
  std::ifstream file(DataDir() + "/tokenizer-golden.json");
  const Json rows = Json::parse(file);
  EXPECT_GE(rows.size(), 40u);
  for (const Json& row : rows) {
    const std::string text = row["text"];
    const auto ids = tokenizer_->Encode(text, {.parse_special = true});
    ASSERT_THAT(ids, IsOk());
    EXPECT_EQ(*ids, row["ids"].get<Ids>()) << text;
    EXPECT_EQ(tokenizer_->Decode(*ids, false), row["decoded"].get<std::string>());
    EXPECT_EQ(tokenizer_->Decode(*ids, true), row["decoded_without_special"].get<std::string>());
  }
}

TEST_F(TokenizerStandinTest, EqualsTheDefinitionOnRandomTexts) {
  const NaiveEncoder naive(Json::parse(json_));
  std::mt19937 rng(14);
  for (int round = 0; round < 300; ++round) {
    const std::string text = RandomText(rng, 1 + rng() % 60);
    ASSERT_EQ(tokenizer_->Encode(text, {}).value(), naive.Encode(text)) << text;
  }
}

TEST_F(TokenizerStandinTest, EveryPlainPieceRoundTrips) {
  for (int32_t id = 0; id < tokenizer_->vocab_size(); ++id) {
    if (tokenizer_->IsByte(id, nullptr) || tokenizer_->IsSpecial(id)) continue;
    const std::string text(tokenizer_->IdToText(id));
    ASSERT_EQ(tokenizer_->Decode(tokenizer_->Encode(text, {}).value(), false), text);
  }
}

TEST_F(TokenizerStandinTest, OneLongLineIsEncoded) {
  for (const std::string unit : {"x", " ", "\u65e5\u672c\u8a9e", "\U0001F469\u200d\U0001F467"}) {
    std::string text;
    while (text.size() < 2000000) text += unit;
    const auto ids = tokenizer_->Encode(text, {});
    ASSERT_THAT(ids, IsOk());
    EXPECT_EQ(tokenizer_->Decode(*ids, false), text);
  }
}

}  // namespace
}  // namespace facet
