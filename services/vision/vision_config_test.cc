#include "services/vision/vision_config.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
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
  EXPECT_EQ(config->default_frame_budget, 70);
  EXPECT_EQ(config->video_frames, 32);
}

// A folder with the configuration above and these files.
std::string Folder(const std::vector<std::array<std::string, 2>>& files) {
  static int count = 0;
  const std::string folder = absl::StrCat(::testing::TempDir(), "/model", count++);
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/config.json") << kConfig;
  for (const auto& [name, text] : files) std::ofstream(folder + "/" + name) << text;
  return folder;
}

TEST(VisionConfigTest, TheProcessorsFilesDecideTheSizesOfMedia) {
  const auto nested = LoadVisionConfig(
      Folder({{"processor_config.json", R"({"image_processor": {"max_soft_tokens": 70},
                                    "video_processor": {"max_soft_tokens": 140, "num_frames": 8}})"},
              {"preprocessor_config.json", R"({"max_soft_tokens": 1120})"}}));
  ASSERT_THAT(nested, IsOk());
  EXPECT_EQ(nested->default_image_budget, 70);
  EXPECT_EQ(nested->default_frame_budget, 140);
  EXPECT_EQ(nested->video_frames, 8);

  const auto flat = LoadVisionConfig(
      Folder({{"processor_config.json", R"({"image_seq_length": 280, "image_processor": null})"},
              {"preprocessor_config.json", R"({"max_soft_tokens": 1120, "image_mean": [0, 0, 0]})"},
              {"video_preprocessor_config.json", R"({"num_frames": 5})"}}));
  ASSERT_THAT(flat, IsOk());
  EXPECT_EQ(flat->default_image_budget, 1120);
  EXPECT_EQ(flat->default_frame_budget, 70);
  EXPECT_EQ(flat->video_frames, 5);

  const auto none = LoadVisionConfig(Folder({}));
  ASSERT_THAT(none, IsOk());
  EXPECT_EQ(none->default_image_budget, 280);

  EXPECT_THAT(
      LoadVisionConfig(Folder(
          {{"processor_config.json", R"({"image_processor": {"max_soft_tokens": "many"}})"}})),
      StatusIs(absl::StatusCode::kInvalidArgument,
               ::testing::AllOf(HasSubstr("processor_config.json"), HasSubstr("max_soft_tokens"))));
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
      {"\"num_key_value_heads\": 12", "\"num_key_value_heads\": 5", "num_key_value_heads"},
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
