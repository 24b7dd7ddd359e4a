#include "services/audio/audio_config.h"

#include <array>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

// As E2B is released.
constexpr char kConfig[] = R"({
  "model_type": "gemma4", "text_config": {"hidden_size": 1536},
  "audio_config": {"hidden_size": 1024, "num_hidden_layers": 12, "num_attention_heads": 8,
    "subsampling_conv_channels": [128, 32], "conv_kernel_size": 5, "residual_weight": 0.5,
    "attention_chunk_size": 12, "attention_context_left": 13, "attention_context_right": 0,
    "attention_logit_cap": 50.0, "attention_invalid_logits_value": -1e9,
    "gradient_clipping": 1e10, "rms_norm_eps": 1e-06, "hidden_act": "silu",
    "use_clipped_linears": true, "output_proj_dims": 1536}})";

TEST(AudioConfigTest, ReadsAReleasedConfiguration) {
  const auto config = ParseAudioConfig(kConfig);
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->hidden_size, 1024);
  EXPECT_EQ(config->head_dim(), 128);
  EXPECT_THAT(config->conv_channels, ElementsAre(128, 32));
  EXPECT_EQ(config->attention_keys, 12);
  EXPECT_EQ(config->keys_ahead, 0);
  EXPECT_EQ(config->distance_offset, 0);
  EXPECT_EQ(config->logit_cap, 50);
  EXPECT_TRUE(config->clipped_linears);
  EXPECT_EQ(config->output_size, 1536);
  EXPECT_EQ(config->text_hidden_size, 1536);
}

TEST(AudioConfigTest, TheBandLeavesItsBoundsOutAndSkewsTheTableOfDistances) {
  const auto config = ParseAudioConfig(absl::StrReplaceAll(
      kConfig, {{"\"attention_chunk_size\": 12", "\"attention_chunk_size\": 7"},
                {"\"attention_context_left\": 13", "\"attention_context_left\": 5"},
                {"\"attention_context_right\": 0", "\"attention_context_right\": 4"}}));
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->attention_keys, 4);
  EXPECT_EQ(config->keys_ahead, 3);
  EXPECT_EQ(config->distance_offset, 3);  // half of 7 + 4 + 4, without 4
}

TEST(AudioConfigTest, WhatCannotBeServedIsNamed) {
  const std::vector<std::array<const char*, 3>> cases = {
      {"\"num_attention_heads\": 8", "\"num_attention_heads\": 0", "num_attention_heads"},
      {"\"num_attention_heads\": 8", "\"num_attention_heads\": 7", "num_attention_heads"},
      {"[128, 32]", "[128]", "subsampling_conv_channels"},
      {"[128, 32]", "[128, 0]", "subsampling_conv_channels"},
      {"\"attention_context_right\": 0", "\"attention_context_right\": -1",
       "attention_context_right"},
      {"\"silu\"", "\"gelu\"", "hidden_act"},
      {"\"output_proj_dims\": 1536", "\"output_proj_dims\": 0", "output_proj_dims"}};
  for (const auto& [from, to, named] : cases) {
    EXPECT_THAT(ParseAudioConfig(absl::StrReplaceAll(kConfig, {{from, to}})),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(named)));
  }
}

TEST(AudioConfigTest, AModelWithoutAudioSaysSo) {
  EXPECT_THAT(ParseAudioConfig(R"({"text_config": {"hidden_size": 8}, "audio_config": null})"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("it takes no audio")));
}

}  // namespace
}  // namespace facet
