#include "model/tensor_names.h"

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/testing/fake_checkpoint.h"
#include "model/testing/released_configs.h"

namespace facet {
namespace {

using ::facet::testing::FakeCheckpoint;
using ::facet::testing::IsOk;
using ::facet::testing::ReleasedConfig;
using ::facet::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr char kWrapper[] = "model.language_model.";

ModelConfig ConfigOf(const Json& json) {
  const auto config = ParseModelConfig(json.dump());
  EXPECT_THAT(config, IsOk());
  return config.ok() ? *config : ModelConfig{};
}

// Every tensor that `config` asks for, under `prefix`.
FakeCheckpoint CheckpointFor(const ModelConfig& config, const std::string& prefix) {
  FakeCheckpoint checkpoint;
  for (int t = 0; t < kNumModelTensors; ++t) {
    const auto tensor = static_cast<ModelTensor>(t);
    const auto shape = TensorShape(config, tensor);
    if (!shape.has_value()) continue;
    const bool bare = tensor == ModelTensor::kLmHead;
    checkpoint.Add((bare ? "" : prefix) + TensorName(tensor), *shape);
  }
  for (int i = 0; i < config.num_layers; ++i) {
    for (int t = 0; t < kNumLayerTensors; ++t) {
      const auto tensor = static_cast<LayerTensor>(t);
      const auto shape = TensorShape(config, i, tensor);
      if (shape.has_value()) checkpoint.Add(prefix + TensorName(i, tensor), *shape);
    }
  }
  return checkpoint;
}

// Published figures: text tensors without the redundant ones, text weights, their bytes in bf16.
struct ReleasedCase {
  std::string variant;
  size_t num_tensors;
  int64_t millions;
  double gigabytes;
};
class ReleasedModelTest : public ::testing::TestWithParam<ReleasedCase> {};

TEST_P(ReleasedModelTest, HasThePublishedNumberOfTensorsAndWeights) {
  const ReleasedCase& c = GetParam();
  const ModelConfig config = ConfigOf(ReleasedConfig(c.variant));
  EXPECT_EQ((TextParameterCount(config) + 500'000) / 1'000'000, c.millions);
  EXPECT_NEAR(2e-9 * TextParameterCount(config), c.gigabytes, 0.0051);
  EXPECT_EQ(CheckpointFor(config, kWrapper).TensorNames().size(), c.num_tensors);
}

TEST_P(ReleasedModelTest, IsFoundUnderBothPrefixes) {
  const ModelConfig config = ConfigOf(ReleasedConfig(GetParam().variant));
  for (const std::string prefix : {"model.language_model.", "model."}) {
    FakeCheckpoint checkpoint = CheckpointFor(config, prefix);
    const auto tensors = TextTensors::Detect(checkpoint, config);
    ASSERT_THAT(tensors, IsOk());
    EXPECT_EQ(tensors->prefix(), prefix);
    EXPECT_EQ(&tensors->Head(), checkpoint.Find(prefix + "embed_tokens.weight"));
    EXPECT_EQ(&tensors->Layer(3, LayerTensor::kQProj),
              checkpoint.Find(prefix + "layers.3.self_attn.q_proj.weight"));
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, ReleasedModelTest,
                         ::testing::ValuesIn(std::vector<ReleasedCase>{
                             {"E2B", 540, 4629, 9.26},
                             {"E4B", 665, 7463, 14.93},
                             {"12B", 666, 11907, 23.81},
                             {"26B-A4B", 657, 25233, 50.47},
                             {"31B", 832, 30697, 61.39},
                         }),
                         [](const auto& info) {
                           return info.param.variant == "26B-A4B" ? std::string("26B_A4B")
                                                                  : info.param.variant;
                         });

// One tensor of each kind, written out by hand.
struct ShapeCase {
  std::string variant;
  int layer;
  LayerTensor tensor;
  std::string name;
  std::vector<int64_t> shape;  // empty: this layer has no such tensor
};
class LayerTensorTest : public ::testing::TestWithParam<ShapeCase> {};

TEST_P(LayerTensorTest, HasThePublishedNameAndShape) {
  const ShapeCase& c = GetParam();
  EXPECT_EQ(TensorName(c.layer, c.tensor), c.name);
  const auto shape = TensorShape(ConfigOf(ReleasedConfig(c.variant)), c.layer, c.tensor);
  EXPECT_EQ(shape.value_or(std::vector<int64_t>{}), c.shape);
}
INSTANTIATE_TEST_SUITE_P(
    Layers, LayerTensorTest,
    ::testing::ValuesIn(std::vector<ShapeCase>{
        {"31B", 0, LayerTensor::kInputNorm, "layers.0.input_layernorm.weight", {5376}},
        {"31B",
         9,
         LayerTensor::kPostAttentionNorm,
         "layers.9.post_attention_layernorm.weight",
         {5376}},
        {"31B",
         9,
         LayerTensor::kPreFeedforwardNorm,
         "layers.9.pre_feedforward_layernorm.weight",
         {5376}},
        {"31B",
         9,
         LayerTensor::kPostFeedforwardNorm,
         "layers.9.post_feedforward_layernorm.weight",
         {5376}},
        {"31B", 59, LayerTensor::kLayerScalar, "layers.59.layer_scalar", {1}},
        {"31B", 0, LayerTensor::kQProj, "layers.0.self_attn.q_proj.weight", {8192, 5376}},
        {"31B", 5, LayerTensor::kQProj, "layers.5.self_attn.q_proj.weight", {16384, 5376}},
        {"31B", 5, LayerTensor::kQNorm, "layers.5.self_attn.q_norm.weight", {512}},
        {"31B", 5, LayerTensor::kOProj, "layers.5.self_attn.o_proj.weight", {5376, 16384}},
        {"31B", 0, LayerTensor::kKProj, "layers.0.self_attn.k_proj.weight", {4096, 5376}},
        {"31B", 5, LayerTensor::kKProj, "layers.5.self_attn.k_proj.weight", {2048, 5376}},
        {"31B", 0, LayerTensor::kKNorm, "layers.0.self_attn.k_norm.weight", {256}},
        {"31B", 0, LayerTensor::kVProj, "layers.0.self_attn.v_proj.weight", {4096, 5376}},
        {"31B", 5, LayerTensor::kVProj, "layers.5.self_attn.v_proj.weight", {}},
        {"E2B", 14, LayerTensor::kVProj, "layers.14.self_attn.v_proj.weight", {512, 1536}},
        {"E2B", 15, LayerTensor::kKProj, "layers.15.self_attn.k_proj.weight", {}},
        {"E2B", 15, LayerTensor::kKNorm, "layers.15.self_attn.k_norm.weight", {}},
        {"E2B", 15, LayerTensor::kVProj, "layers.15.self_attn.v_proj.weight", {}},
        {"E2B", 15, LayerTensor::kQProj, "layers.15.self_attn.q_proj.weight", {2048, 1536}},
        {"E2B", 14, LayerTensor::kGateProj, "layers.14.mlp.gate_proj.weight", {6144, 1536}},
        {"E2B", 15, LayerTensor::kUpProj, "layers.15.mlp.up_proj.weight", {12288, 1536}},
        {"E2B", 15, LayerTensor::kDownProj, "layers.15.mlp.down_proj.weight", {1536, 12288}},
        {"E2B",
         0,
         LayerTensor::kPerLayerInputGate,
         "layers.0.per_layer_input_gate.weight",
         {256, 1536}},
        {"E2B",
         0,
         LayerTensor::kPerLayerProjection,
         "layers.0.per_layer_projection.weight",
         {1536, 256}},
        {"E2B",
         0,
         LayerTensor::kPostPerLayerInputNorm,
         "layers.0.post_per_layer_input_norm.weight",
         {1536}},
        {"31B", 0, LayerTensor::kPerLayerInputGate, "layers.0.per_layer_input_gate.weight", {}},
        {"26B-A4B", 1, LayerTensor::kRouterProj, "layers.1.router.proj.weight", {128, 2816}},
        {"26B-A4B", 1, LayerTensor::kRouterScale, "layers.1.router.scale", {2816}},
        {"26B-A4B",
         1,
         LayerTensor::kRouterPerExpertScale,
         "layers.1.router.per_expert_scale",
         {128}},
        {"26B-A4B",
         1,
         LayerTensor::kExpertsGateUp,
         "layers.1.experts.gate_up_proj",
         {128, 1408, 2816}},
        {"26B-A4B", 1, LayerTensor::kExpertsDown, "layers.1.experts.down_proj", {128, 2816, 704}},
        {"26B-A4B",
         1,
         LayerTensor::kPostFeedforwardNorm1,
         "layers.1.post_feedforward_layernorm_1.weight",
         {2816}},
        {"26B-A4B",
         1,
         LayerTensor::kPreFeedforwardNorm2,
         "layers.1.pre_feedforward_layernorm_2.weight",
         {2816}},
        {"26B-A4B",
         1,
         LayerTensor::kPostFeedforwardNorm2,
         "layers.1.post_feedforward_layernorm_2.weight",
         {2816}},
        {"26B-A4B", 1, LayerTensor::kGateProj, "layers.1.mlp.gate_proj.weight", {2112, 2816}},
        {"31B", 1, LayerTensor::kRouterProj, "layers.1.router.proj.weight", {}},
    }),
    [](const auto& info) { return absl::StrCat("case_", info.index); });

TEST(ModelTensorTest, HaveThePublishedNamesAndShapes) {
  const ModelConfig e2b = ConfigOf(ReleasedConfig("E2B"));
  EXPECT_EQ(TensorName(ModelTensor::kEmbedTokens), "embed_tokens.weight");
  EXPECT_THAT(*TensorShape(e2b, ModelTensor::kEmbedTokens), ElementsAre(262144, 1536));
  EXPECT_EQ(TensorName(ModelTensor::kFinalNorm), "norm.weight");
  EXPECT_THAT(*TensorShape(e2b, ModelTensor::kFinalNorm), ElementsAre(1536));
  EXPECT_EQ(TensorName(ModelTensor::kEmbedTokensPerLayer), "embed_tokens_per_layer.weight");
  EXPECT_THAT(*TensorShape(e2b, ModelTensor::kEmbedTokensPerLayer), ElementsAre(262144, 8960));
  EXPECT_EQ(TensorName(ModelTensor::kPerLayerModelProjection), "per_layer_model_projection.weight");
  EXPECT_THAT(*TensorShape(e2b, ModelTensor::kPerLayerModelProjection), ElementsAre(8960, 1536));
  EXPECT_EQ(TensorName(ModelTensor::kPerLayerProjectionNorm), "per_layer_projection_norm.weight");
  EXPECT_THAT(*TensorShape(e2b, ModelTensor::kPerLayerProjectionNorm), ElementsAre(256));
  EXPECT_EQ(TensorShape(e2b, ModelTensor::kLmHead), std::nullopt);
  const ModelConfig large = ConfigOf(ReleasedConfig("31B"));
  EXPECT_EQ(TensorShape(large, ModelTensor::kEmbedTokensPerLayer), std::nullopt);
}

TEST(TensorNamesTest, AreAllDifferent) {
  std::set<std::string> names;
  for (int t = 0; t < kNumLayerTensors; ++t) {
    names.insert(TensorName(0, static_cast<LayerTensor>(t)));
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(kNumLayerTensors));
}

TEST(TextTensorsTest, IgnoreWhatTheModelDoesNotUse) {
  const ModelConfig config = ConfigOf(ReleasedConfig("E2B"));
  FakeCheckpoint checkpoint = CheckpointFor(config, kWrapper);
  checkpoint.Add("model.vision_tower.patch_embedder.input_proj.weight", {768, 768});
  checkpoint.Add("model.audio_tower.layers.0.norm.weight", {1024});
  checkpoint.Add("model.embed_vision.embedding_projection.weight", {1536, 768});
  checkpoint.Add("lm_head.weight", {7, 7});  // the head is tied
  // Leftovers of a layer that reads the K/V of another one; even their shape is of no interest.
  checkpoint.Add(absl::StrCat(kWrapper, "layers.20.self_attn.k_proj.weight"), {3});
  checkpoint.Add(absl::StrCat(kWrapper, "layers.20.self_attn.v_proj.weight"), {3});
  checkpoint.AddUnsupported(absl::StrCat(kWrapper, "layers.20.self_attn.k_norm.weight"), "I64");
  const auto tensors = TextTensors::Detect(checkpoint, config);
  ASSERT_THAT(tensors, IsOk());
  EXPECT_EQ(tensors->Find(20, LayerTensor::kKProj), nullptr);
  EXPECT_EQ(tensors->Find(20, LayerTensor::kVProj), nullptr);
  EXPECT_EQ(tensors->Find(20, LayerTensor::kKNorm), nullptr);
  EXPECT_NE(tensors->Find(14, LayerTensor::kKProj), nullptr);
  EXPECT_EQ(tensors->Find(ModelTensor::kLmHead), nullptr);
  EXPECT_EQ(&tensors->Head(), &tensors->Model(ModelTensor::kEmbedTokens));
}

TEST(TextTensorsTest, TakeTheHeadOfAnUntiedModel) {
  Json json = ReleasedConfig("31B");
  json["tie_word_embeddings"] = false;
  const ModelConfig config = ConfigOf(json);
  FakeCheckpoint checkpoint = CheckpointFor(config, kWrapper);
  const auto tensors = TextTensors::Detect(checkpoint, config);
  ASSERT_THAT(tensors, IsOk());
  EXPECT_EQ(&tensors->Head(), checkpoint.Find("lm_head.weight"));
  checkpoint.Remove("lm_head.weight");
  EXPECT_THAT(ValidateCheckpoint(checkpoint, config),
              StatusIs(kInvalid, HasSubstr("lm_head.weight is missing")));
}

TEST(TextTensorsTest, AcceptTheOlderNamesOfExperts) {
  const ModelConfig config = ConfigOf(ReleasedConfig("26B-A4B"));
  FakeCheckpoint checkpoint = CheckpointFor(config, kWrapper);
  for (int i = 0; i < config.num_layers; ++i) {
    const std::string layer = absl::StrCat(kWrapper, "layers.", i, ".");
    checkpoint.Remove(layer + "experts.gate_up_proj");
    checkpoint.Remove(layer + "experts.down_proj");
    checkpoint.Remove(layer + "router.per_expert_scale");
    checkpoint.Add(layer + "moe.gate_up_proj", {128, 1408, 2816});
    checkpoint.Add(layer + "moe.down_proj", {128, 2816, 704});
    checkpoint.Add(layer + "moe.per_expert_scale", {128});
  }
  const auto tensors = TextTensors::Detect(checkpoint, config);
  ASSERT_THAT(tensors, IsOk());
  EXPECT_EQ(&tensors->Layer(7, LayerTensor::kExpertsDown),
            checkpoint.Find(absl::StrCat(kWrapper, "layers.7.moe.down_proj")));
  EXPECT_EQ(&tensors->Layer(7, LayerTensor::kRouterPerExpertScale),
            checkpoint.Find(absl::StrCat(kWrapper, "layers.7.moe.per_expert_scale")));
}

struct DamageCase {
  std::string name;
  std::function<void(FakeCheckpoint&)> damage;
  std::string message;
};
class DamagedCheckpointTest : public ::testing::TestWithParam<DamageCase> {};

TEST_P(DamagedCheckpointTest, IsRefusedWithTheNameOfTheTensor) {
  const ModelConfig config = ConfigOf(ReleasedConfig("31B"));
  FakeCheckpoint checkpoint = CheckpointFor(config, kWrapper);
  ASSERT_THAT(ValidateCheckpoint(checkpoint, config), IsOk());
  GetParam().damage(checkpoint);
  EXPECT_THAT(ValidateCheckpoint(checkpoint, config),
              StatusIs(kInvalid, HasSubstr(GetParam().message)));
}

const std::string kLayer5 = "model.language_model.layers.5.";

INSTANTIATE_TEST_SUITE_P(
    Damages, DamagedCheckpointTest,
    ::testing::ValuesIn(std::vector<DamageCase>{
        {"missing", [](FakeCheckpoint& c) { c.Remove(kLayer5 + "mlp.up_proj.weight"); },
         "model.language_model.layers.5.mlp.up_proj.weight is missing"},
        {"transposed",
         [](FakeCheckpoint& c) {
           c.Add(kLayer5 + "self_attn.o_proj.weight", {16384, 5376});
         },
         "layers.5.self_attn.o_proj.weight has shape [16384, 5376], expected [5376, 16384]"},
        {"other_rank", [](FakeCheckpoint& c) { c.Add(kLayer5 + "layer_scalar", {}); },
         "layer_scalar has shape [], expected [1]"},
        {"other_type",
         [](FakeCheckpoint& c) { c.AddUnsupported(kLayer5 + "mlp.up_proj.weight", "U8"); },
         "layers.5.mlp.up_proj.weight has type U8, supported are BF16, F16 and F32"},
        {"no_text_model",
         [](FakeCheckpoint& c) { c.Remove("model.language_model.embed_tokens.weight"); },
         "the checkpoint has neither model.language_model.embed_tokens.weight nor "
         "model.embed_tokens.weight"},
        {"two_text_models",
         [](FakeCheckpoint& c) {
           c.Add("model.embed_tokens.weight", {262144, 5376});
         },
         "has both model.language_model.embed_tokens.weight and model.embed_tokens.weight"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(ValidateCheckpointTest, CountsWhatItDoesNotName) {
  const ModelConfig config = ConfigOf(ReleasedConfig("31B"));
  FakeCheckpoint checkpoint = CheckpointFor(config, kWrapper);
  for (int i = 10; i < 60; ++i) {
    checkpoint.Remove(absl::StrCat(kWrapper, "layers.", i, ".layer_scalar"));
  }
  const absl::Status status = ValidateCheckpoint(checkpoint, config);
  EXPECT_THAT(status,
              StatusIs(kInvalid, HasSubstr("layers.14.layer_scalar is missing; and 45 more")));
  EXPECT_THAT(status, StatusIs(kInvalid, Not(HasSubstr("layers.15."))));
}

TEST(ValidateCheckpointTest, NoticesAModelOfAnotherSize) {
  const FakeCheckpoint checkpoint = CheckpointFor(ConfigOf(ReleasedConfig("E2B")), kWrapper);
  EXPECT_THAT(ValidateCheckpoint(checkpoint, ConfigOf(ReleasedConfig("E4B"))),
              StatusIs(kInvalid, HasSubstr("embed_tokens.weight has shape [262144, 1536], expected "
                                           "[262144, 2560]")));
}

TEST(TextTensorsDeathTest, EndTheProcessWhereATensorMustBeButIsNot) {
  const ModelConfig config = ConfigOf(ReleasedConfig("31B"));
  const FakeCheckpoint checkpoint = CheckpointFor(config, kWrapper);
  const auto tensors = TextTensors::Detect(checkpoint, config);
  ASSERT_THAT(tensors, IsOk());
  EXPECT_DEATH(tensors->Layer(5, LayerTensor::kVProj), "layers.5.self_attn.v_proj.weight");
  EXPECT_DEATH(tensors->Layer(60, LayerTensor::kQProj), "60");
}

}  // namespace
}  // namespace facet
