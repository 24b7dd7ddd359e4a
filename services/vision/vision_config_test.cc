#include "services/vision/vision_config.h"

#include <array>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

// As E2B is released.
constexpr char kConfig[] = R"({
  "model_type": "gemma4", "vision_soft_tokens_per_image": 280,
  "text_config": {"hidden_size": 1536},
  "vision_config": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 16,
    "num_attention_heads": 12, "num_key_value_heads": 12, "head_dim": 64, "global_head_dim": 64,
    "patch_size": 16, "pooling_kernel_size": 3, "position_embedding_size": 10240,
    "default_output_length": 280, "rms_norm_eps": 1e-06, "use_clipped_linears": true,
    "standardize": false, "hidden_activation": "gelu_pytorch_tanh",
    "rope_parameters": {"rope_theta": 100.0, "rope_type": "default"}}})";

TEST(VisionConfigTest, ReadsAReleasedConfiguration) {
  const auto config = ParseVisionConfig(kConfig);
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->hidden_size, 768);
  EXPECT_EQ(config->num_heads, 12);
  EXPECT_EQ(config->head_dim, 64);
  EXPECT_EQ(config->patches.block(), 48);
  EXPECT_EQ(config->position_table_size, 10240);
  EXPECT_EQ(config->rope_theta, 100);
  EXPECT_TRUE(config->clipped_linears);
  EXPECT_FALSE(config->standardize);
  EXPECT_EQ(config->text_hidden_size, 1536);
  EXPECT_EQ(config->default_image_budget, 280);
}

TEST(VisionConfigTest, BothNamesOfTheRotationAreRead) {
  EXPECT_THAT(ParseVisionConfig(absl::StrReplaceAll(kConfig, {{"\"default\"", "\"axial\""}})),
              IsOk());
}

TEST(VisionConfigTest, WhatCannotBeServedIsNamed) {
  const std::vector<std::array<const char*, 3>> cases = {
      {"\"num_attention_heads\": 12", "\"num_attention_heads\": 0", "num_attention_heads"},
      {"\"hidden_size\": 768", "\"hidden_size\": 0", "hidden_size"},
      {"\"head_dim\": 64", "\"head_dim\": 66", "head_dim"},
      {"\"num_key_value_heads\": 12", "\"num_key_value_heads\": 4", "num_key_value_heads"},
      {"\"patch_size\": 16", "\"patch_size\": -1", "patch_size"},
      {"gelu_pytorch_tanh", "relu", "hidden_activation"},
      {"\"default\"", "\"yarn\"", "rope_type"},
      {"\"hidden_size\": 1536", "\"hidden\": 1536", "hidden_size"}};
  for (const auto& [from, to, named] : cases) {
    EXPECT_THAT(ParseVisionConfig(absl::StrReplaceAll(kConfig, {{from, to}})),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(named)));
  }
}

TEST(VisionConfigTest, AModelWithoutVisionSaysSo) {
  for (const char* json : {R"({"text_config": {"hidden_size": 8}})",
                           R"({"text_config": {"hidden_size": 8}, "vision_config": null})"}) {
    EXPECT_THAT(ParseVisionConfig(json),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("it takes no images")));
  }
}

}  // namespace
}  // namespace facet
