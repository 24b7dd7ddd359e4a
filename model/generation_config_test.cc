#include "model/generation_config.h"

#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/testing/safetensors_writer.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::MakeTestDir;
using ::facet::testing::StatusIs;
using ::facet::testing::WriteFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ModelConfig Model() {
  ModelConfig model;
  model.vocab_size = 262144;
  model.eos_token_ids = {1, 106};
  return model;
}

TEST(GenerationConfigTest, ReadsTheFileOfAnInstructionTunedModel) {
  const auto config = ParseGenerationConfig(
      R"({"bos_token_id": 2, "do_sample": true, "eos_token_id": [1, 106, 50], "pad_token_id": 0,
          "suppress_tokens": [258883, 258882], "temperature": 0.5, "top_k": 20, "top_p": 0.75,
          "min_p": 0.125, "repetition_penalty": 1.5, "transformers_version": "5.18.0"})",
      Model());
  ASSERT_THAT(config, IsOk());
  EXPECT_TRUE(config->do_sample);
  EXPECT_EQ(config->temperature, 0.5);
  EXPECT_EQ(config->top_k, 20);
  EXPECT_EQ(config->top_p, 0.75);
  EXPECT_EQ(config->min_p, 0.125);
  EXPECT_EQ(config->repetition_penalty, 1.5);
  EXPECT_THAT(config->eos_token_ids, ElementsAre(1, 50, 106));
  EXPECT_THAT(config->suppress_tokens, ElementsAre(258882, 258883));
}

TEST(GenerationConfigTest, HasTheRecommendedDefaultsWhereTheFileSaysNothing) {
  const auto config = ParseGenerationConfig(R"({"top_p": null})", Model());
  ASSERT_THAT(config, IsOk());
  EXPECT_TRUE(config->do_sample);
  EXPECT_EQ(config->temperature, 1.0);
  EXPECT_EQ(config->top_k, 64);
  EXPECT_EQ(config->top_p, 0.95);
  EXPECT_EQ(config->min_p, 0.0);
  EXPECT_EQ(config->repetition_penalty, 1.0);
  EXPECT_THAT(config->suppress_tokens, ElementsAre());
}

TEST(GenerationConfigTest, EndTokensAreThoseOfBothFiles) {
  EXPECT_THAT(ParseGenerationConfig(R"({"eos_token_id": 50})", Model())->eos_token_ids,
              ElementsAre(1, 50, 106));
  EXPECT_THAT(ParseGenerationConfig("{}", Model())->eos_token_ids, ElementsAre(1, 106));
}

TEST(GenerationConfigTest, DropsIdsBeyondTheVocabulary) {
  ModelConfig small = Model();
  small.vocab_size = 60;
  small.eos_token_ids = {1};
  const auto config = ParseGenerationConfig(
      R"({"eos_token_id": [1, 106, 50], "suppress_tokens": [258883, 7]})", small);
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(config->eos_token_ids, ElementsAre(1, 50));
  EXPECT_THAT(config->suppress_tokens, ElementsAre(7));
}

struct BadCase {
  std::string name;
  std::string text;
  std::string message;
};
class BadGenerationConfigTest : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadGenerationConfigTest, IsRefused) {
  EXPECT_THAT(ParseGenerationConfig(GetParam().text, Model()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}
INSTANTIATE_TEST_SUITE_P(
    Settings, BadGenerationConfigTest,
    ::testing::ValuesIn(std::vector<BadCase>{
        {"no_object", "[]", "where an object is expected"},
        {"negative_temperature", R"({"temperature": -1})", "temperature: -1"},
        {"zero_top_p", R"({"top_p": 0})", "top_p: 0"},
        {"top_p_above_1", R"({"top_p": 1.5})", "top_p: 1.5"},
        {"negative_top_k", R"({"top_k": -1})", "top_k: -1"},
        {"fractional_top_k", R"({"top_k": 0.5})", "top_k: 0.5"},
        {"negative_min_p", R"({"min_p": -0.5})", "min_p: -0.5"},
        {"zero_penalty", R"({"repetition_penalty": 0})", "repetition_penalty: 0"},
        {"do_sample_of_wrong_type", R"({"do_sample": 1})", "do_sample: 1"},
        {"negative_end_token", R"({"eos_token_id": -1})", "eos_token_id: -1"},
        {"end_token_of_wrong_type", R"({"eos_token_id": ["<eos>"]})", "eos_token_id: \"<eos>\""},
        {"suppressed_of_wrong_type", R"({"suppress_tokens": {}})", "suppress_tokens: an object"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(LoadGenerationConfigTest, DoesWithoutTheFile) {
  const auto config = LoadGenerationConfig(MakeTestDir(), Model());
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->top_k, 64);
  EXPECT_THAT(config->eos_token_ids, ElementsAre(1, 106));
}

TEST(LoadGenerationConfigTest, ReadsTheFileAndNamesItInErrors) {
  const std::string dir = MakeTestDir();
  WriteFile(dir + "/generation_config.json", R"({"top_k": 3})");
  EXPECT_EQ(LoadGenerationConfig(dir, Model())->top_k, 3);
  WriteFile(dir + "/generation_config.json", R"({"top_k": true})");
  EXPECT_THAT(LoadGenerationConfig(dir, Model()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr(dir + "/generation_config.json: top_k: true")));
}

}  // namespace
}  // namespace facet
