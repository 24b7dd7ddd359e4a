#include "model/config.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/testing/released_configs.h"
#include "model/testing/safetensors_writer.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::MakeTestDir;
using ::facet::testing::ReleasedConfig;
using ::facet::testing::ReleasedVariants;
using ::facet::testing::StatusIs;
using ::facet::testing::WriteFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

absl::StatusOr<ModelConfig> Parse(const Json& json) { return ParseModelConfig(json.dump()); }

// What the published variants have, written out; -1: no such layer.
struct VariantCase {
  std::string variant;
  std::string model_type;
  int layers, hidden, query_heads, window, context;
  int owning_layers;
  int first_global, num_global;
  int kv_heads_sliding, kv_heads_global;
  bool k_eq_v;
  int shared_sliding_source, shared_global_source;  // -1: nothing is shared
  int first_intermediate, last_intermediate;
  int per_layer_input;
  bool moe, bidirectional, vision, audio;
};
class ReleasedConfigTest : public ::testing::TestWithParam<VariantCase> {};

TEST_P(ReleasedConfigTest, HasThePublishedSizes) {
  const VariantCase& c = GetParam();
  const auto config = Parse(ReleasedConfig(c.variant));
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->model_type, c.model_type);
  EXPECT_EQ(config->vocab_size, 262144);
  EXPECT_EQ(config->num_layers, c.layers);
  ASSERT_EQ(config->layers.size(), static_cast<size_t>(c.layers));
  EXPECT_EQ(config->hidden_size, c.hidden);
  EXPECT_EQ(config->num_query_heads, c.query_heads);
  EXPECT_EQ(config->sliding_window, c.window);
  EXPECT_EQ(config->max_position_embeddings, c.context);
  EXPECT_EQ(config->rms_norm_eps, 1e-6);
  EXPECT_EQ(config->final_logit_softcapping, 30.0);
  EXPECT_EQ(config->num_owning_layers, c.owning_layers);
  EXPECT_EQ(config->layers.front().intermediate_size, c.first_intermediate);
  EXPECT_EQ(config->layers.back().intermediate_size, c.last_intermediate);
  EXPECT_EQ(config->per_layer_input_size, c.per_layer_input);
  EXPECT_EQ(config->per_layer_vocab_size, c.per_layer_input == 0 ? 0 : 262144);
  EXPECT_EQ(config->moe.has_value(), c.moe);
  EXPECT_EQ(config->bidirectional_vision, c.bidirectional);
  EXPECT_EQ(config->has_vision, c.vision);
  EXPECT_EQ(config->has_audio, c.audio);
  EXPECT_TRUE(config->tie_word_embeddings);
}

TEST_P(ReleasedConfigTest, DerivesEveryLayer) {
  const VariantCase& c = GetParam();
  const auto config = Parse(ReleasedConfig(c.variant));
  ASSERT_THAT(config, IsOk());
  int num_global = 0;
  for (int i = 0; i < c.layers; ++i) {
    SCOPED_TRACE(i);
    const LayerConfig& layer = config->layers[i];
    const bool global = layer.kind == AttentionKind::kGlobal;
    EXPECT_EQ(global, (i + 1) % (c.first_global + 1) == 0);
    num_global += global;
    EXPECT_EQ(layer.head_dim, global ? 512 : 256);
    EXPECT_EQ(layer.num_kv_heads, global ? c.kv_heads_global : c.kv_heads_sliding);
    EXPECT_EQ(layer.k_eq_v, global && c.k_eq_v);
    EXPECT_EQ(layer.owns_kv, i < c.owning_layers);
    EXPECT_EQ(layer.kv_source, i < c.owning_layers ? i
                               : global            ? c.shared_global_source
                                                   : c.shared_sliding_source);
    EXPECT_EQ(layer.intermediate_size,
              i < c.owning_layers ? c.first_intermediate : c.last_intermediate);
  }
  EXPECT_EQ(num_global, c.num_global);
}

TEST_P(ReleasedConfigTest, HasTheFamilysRopes) {
  const auto config = Parse(ReleasedConfig(GetParam().variant));
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->sliding_rope.type, RopeConfig::Type::kDefault);
  EXPECT_EQ(config->sliding_rope.theta, 10000.0);
  EXPECT_EQ(config->sliding_rope.partial_rotary_factor, 1.0);
  EXPECT_EQ(config->global_rope.type, RopeConfig::Type::kProportional);
  EXPECT_EQ(config->global_rope.theta, 1000000.0);
  EXPECT_EQ(config->global_rope.partial_rotary_factor, 0.25);
  EXPECT_EQ(config->global_rope.factor, 1.0);
}

TEST_P(ReleasedConfigTest, HasTheFamilysTokenIds) {
  const auto config = Parse(ReleasedConfig(GetParam().variant));
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(config->eos_token_ids, ElementsAre(1, 106));
  EXPECT_EQ(config->bos_token_id, 2);
  EXPECT_EQ(config->pad_token_id, 0);
  EXPECT_EQ(config->image_token_id, 258880);
  EXPECT_EQ(config->video_token_id, 258884);
  EXPECT_EQ(config->audio_token_id, 258881);
}

INSTANTIATE_TEST_SUITE_P(
    Variants, ReleasedConfigTest,
    ::testing::ValuesIn(std::vector<VariantCase>{
        {"E2B", "gemma4", 35, 1536, 8,    512,   131072, 15,    4,     7,    1,
         1,     false,    13, 14,   6144, 12288, 256,    false, false, true, true},
        {"E4B", "gemma4", 42, 2560, 8,     512,   131072, 24,    5,     7,    2,
         2,     false,    22, 23,   10240, 10240, 256,    false, false, true, true},
        {"12B",  "gemma4_unified",
         48,     3840,
         16,     1024,
         262144, 48,
         5,      8,
         8,      1,
         true,   -1,
         -1,     15360,
         15360,  0,
         false,  true,
         true,   true},
        {"26B-A4B", "gemma4", 30, 2816, 16,   1024, 262144, 30,   5,    5,    8,
         2,         true,     -1, -1,   2112, 2112, 0,      true, true, true, false},
        {"31B", "gemma4", 60, 5376, 32,    1024,  262144, 60,    5,    10,   16,
         4,     true,     -1, -1,   21504, 21504, 0,      false, true, true, false},
    }),
    [](const auto& info) {
      return info.param.variant == "26B-A4B" ? std::string("26B_A4B") : info.param.variant;
    });

TEST(ModelConfigTest, ReadsTheExpertsOfA26B) {
  const auto config = Parse(ReleasedConfig("26B-A4B"));
  ASSERT_THAT(config, IsOk());
  ASSERT_TRUE(config->moe.has_value());
  EXPECT_EQ(config->moe->num_experts, 128);
  EXPECT_EQ(config->moe->top_k, 8);
  EXPECT_EQ(config->moe->intermediate_size, 704);
}

// The two dialects and the two layouts must give the same model.
struct RewriteCase {
  std::string name;
  std::function<void(Json&)> rewrite;
};
class SameModelTest : public ::testing::TestWithParam<RewriteCase> {};

void ToPerLayerDialect(Json& config) {
  Json& text = config["text_config"];
  Json overrides = Json::object();
  for (size_t i = 0; i < text["layer_types"].size(); ++i) {
    if (text["layer_types"][i] != "full_attention") continue;
    Json& layer = overrides[absl::StrCat(absl::Dec(i, absl::kZeroPad2))];  // as transformers does
    layer["head_dim"] = text["global_head_dim"];
    if (text["attention_k_eq_v"] && !text["num_global_key_value_heads"].is_null()) {
      layer["num_key_value_heads"] = text["num_global_key_value_heads"];
    }
  }
  text["per_layer_config"] = overrides;
  text.erase("global_head_dim");
  text.erase("num_global_key_value_heads");
}

TEST_P(SameModelTest, ForEveryVariant) {
  for (const std::string& variant : ReleasedVariants()) {
    SCOPED_TRACE(variant);
    Json json = ReleasedConfig(variant);
    const auto want = Parse(json);
    GetParam().rewrite(json);
    const auto got = Parse(json);
    ASSERT_THAT(want, IsOk());
    ASSERT_THAT(got, IsOk());
    ASSERT_EQ(got->layers.size(), want->layers.size());
    for (size_t i = 0; i < want->layers.size(); ++i) {
      SCOPED_TRACE(i);
      EXPECT_EQ(got->layers[i].kind, want->layers[i].kind);
      EXPECT_EQ(got->layers[i].head_dim, want->layers[i].head_dim);
      EXPECT_EQ(got->layers[i].num_kv_heads, want->layers[i].num_kv_heads);
      EXPECT_EQ(got->layers[i].k_eq_v, want->layers[i].k_eq_v);
      EXPECT_EQ(got->layers[i].kv_source, want->layers[i].kv_source);
      EXPECT_EQ(got->layers[i].intermediate_size, want->layers[i].intermediate_size);
    }
    EXPECT_EQ(got->sliding_rope.theta, want->sliding_rope.theta);
    EXPECT_EQ(got->global_rope.type, want->global_rope.type);
    EXPECT_EQ(got->global_rope.theta, want->global_rope.theta);
    EXPECT_EQ(got->global_rope.partial_rotary_factor, want->global_rope.partial_rotary_factor);
    EXPECT_EQ(got->bidirectional_vision, want->bidirectional_vision);
    EXPECT_EQ(got->per_layer_input_size, want->per_layer_input_size);
    EXPECT_EQ(got->tie_word_embeddings, want->tie_word_embeddings);
    ASSERT_EQ(got->moe.has_value(), want->moe.has_value());
    if (want->moe.has_value()) {
      EXPECT_EQ(got->moe->intermediate_size, want->moe->intermediate_size);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Rewritten, SameModelTest,
                         ::testing::ValuesIn(std::vector<RewriteCase>{
                             {"with_per_layer_config", ToPerLayerDialect},
                             {"with_per_layer_config_beside_contradicting_flat_keys",
                              [](Json& c) {
                                ToPerLayerDialect(c);
                                c["text_config"]["global_head_dim"] = 128;
                              }},
                             {"as_a_text_only_checkpoint",
                              [](Json& c) {
                                Json text = c["text_config"];
                                c = text;
                              }},
                             {"without_keys_that_have_defaults",
                              [](Json& c) {
                                Json& text = c["text_config"];
                                for (const char* key :
                                     {"global_head_dim", "rope_parameters", "tie_word_embeddings",
                                      "attention_bias", "hidden_activation", "model_type"}) {
                                  text.erase(key);
                                }
                                c.erase("tie_word_embeddings");
                                if (text["num_kv_shared_layers"] == 0)
                                  text.erase("num_kv_shared_layers");
                                if (text["use_double_wide_mlp"] == false)
                                  text.erase("use_double_wide_mlp");
                                if (text["enable_moe_block"] == false)
                                  text.erase("enable_moe_block");
                                if (text["attention_k_eq_v"] == false)
                                  text.erase("attention_k_eq_v");
                              }},
                             {"with_the_older_name_of_the_expert_width",
                              [](Json& c) {
                                Json& text = c["text_config"];
                                text["expert_intermediate_size"] = text["moe_intermediate_size"];
                                text.erase("moe_intermediate_size");
                              }},
                             {"with_unknown_keys",
                              [](Json& c) {
                                c["text_config"]["some_new_key"] = {{"a", 1}};
                                c["transformers_version"] = "9.9";
                              }},
                         }),
                         [](const auto& info) { return info.param.name; });

TEST(ModelConfigTest, TakesFiveSlidingLayersAndAGlobalOneByDefault) {
  Json json = ReleasedConfig("31B");
  json["text_config"]["layer_types"] = nullptr;
  json["text_config"]["num_hidden_layers"] = 8;
  const auto config = Parse(json);
  ASSERT_THAT(config, IsOk());
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(config->layers[i].kind,
              i == 5 || i == 7 ? AttentionKind::kGlobal : AttentionKind::kSliding)
        << i;  // the last layer is global whatever the pattern says
  }
}

TEST(ModelConfigTest, LayersWithoutOverridesHaveTheCommonSizes) {
  Json json = ReleasedConfig("E2B");
  json["text_config"].erase("global_head_dim");
  json["text_config"]["per_layer_config"] = Json::object();
  const auto config = Parse(json);
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->layers[4].kind, AttentionKind::kGlobal);
  EXPECT_EQ(config->layers[4].head_dim, 256);
}

TEST(ModelConfigTest, GlobalKvHeadsCountOnlyTogetherWithKEqualV) {
  Json json = ReleasedConfig("31B");
  json["text_config"]["attention_k_eq_v"] = false;
  const auto config = Parse(json);
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->layers[5].num_kv_heads, 16);
  EXPECT_FALSE(config->layers[5].k_eq_v);
}

TEST(ModelConfigTest, TheTopLevelDecidesWhetherTheHeadIsTied) {
  Json json = ReleasedConfig("31B");
  json["tie_word_embeddings"] = false;
  ASSERT_THAT(Parse(json), IsOk());
  EXPECT_FALSE(Parse(json)->tie_word_embeddings);
  json.erase("tie_word_embeddings");
  EXPECT_TRUE(Parse(json)->tie_word_embeddings);
}

TEST(ModelConfigTest, TakesEndTokensOfTheTextSettingsWhereTheTopLevelHasNone) {
  Json json = ReleasedConfig("31B");
  json.erase("eos_token_id");
  const auto config = Parse(json);
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(config->eos_token_ids, ElementsAre(1));
}

TEST(ModelConfigTest, IdsBeyondASmallVocabularyAreAbsent) {
  Json json = ReleasedConfig("31B");
  json["text_config"]["vocab_size"] = 100;
  const auto config = Parse(json);
  ASSERT_THAT(config, IsOk());
  EXPECT_THAT(config->eos_token_ids, ElementsAre(1));
  EXPECT_EQ(config->bos_token_id, 2);
  EXPECT_EQ(config->image_token_id, std::nullopt);
}

TEST(ModelConfigTest, AUnifiedModelNeedNotSayWhatItNeverHas) {
  Json json = ReleasedConfig("12B");
  for (const char* key : {"hidden_size_per_layer_input", "vocab_size_per_layer_input",
                          "enable_moe_block", "use_bidirectional_attention"}) {
    json["text_config"].erase(key);
  }
  const auto config = Parse(json);
  ASSERT_THAT(config, IsOk());
  EXPECT_TRUE(config->bidirectional_vision);
  EXPECT_EQ(config->per_layer_input_size, 0);
  json["text_config"]["use_bidirectional_attention"] = nullptr;
  EXPECT_FALSE(Parse(json)->bidirectional_vision);
}

TEST(ModelConfigTest, ReadsTheFactorOfAProportionalRope) {
  Json json = ReleasedConfig("31B");
  json["text_config"]["rope_parameters"]["full_attention"]["factor"] = 8;
  const auto config = Parse(json);
  ASSERT_THAT(config, IsOk());
  EXPECT_EQ(config->global_rope.factor, 8.0);
}

// One wrong setting in the config of a released variant.
struct BadConfigCase {
  const char* name;
  const char* variant;
  const char* pointer;  // where in the file
  const char* value;    // JSON; "": the key is removed
  const char* message;
};
class BadConfigTest : public ::testing::TestWithParam<BadConfigCase> {};

TEST_P(BadConfigTest, IsRefusedWithTheKeyTheValueAndTheLimit) {
  const BadConfigCase& c = GetParam();
  Json json = ReleasedConfig(c.variant);
  const Json::json_pointer at(c.pointer);
  if (*c.value == '\0') {
    json[at.parent_pointer()].erase(at.back());
  } else {
    json[at] = Json::parse(c.value);
  }
  EXPECT_THAT(Parse(json), StatusIs(kInvalid, HasSubstr(c.message)));
}

constexpr BadConfigCase kBadConfigs[] = {
    {"unknown_model", "31B", "/model_type", R"("gemma3")",
     R"(model_type: "gemma3" is not supported; supported are gemma4,)"},
    {"drafter", "31B", "/model_type", R"("gemma4_assistant")", "\"gemma4_assistant\""},
    {"no_model_type", "31B", "/model_type", "", "model_type: missing"},
    {"model_type_of_wrong_type", "31B", "/model_type", "4", "model_type: 4 where a string"},
    {"mixed_model_types", "31B", "/text_config/model_type", R"("gemma4_unified_text")",
     R"(text_config.model_type: "gemma4_unified_text" does not go with "gemma4")"},
    {"no_text_config", "31B", "/text_config", "", "text_config: missing"},
    {"text_config_of_wrong_type", "31B", "/text_config", "[]", "text_config: a list"},
    {"quantised", "31B", "/quantization_config", R"({"bits": 4})", "quantization_config: "},
    {"no_heads", "31B", "/text_config/num_attention_heads", "0",
     "text_config.num_attention_heads: 0 where an integer from 1 to 1024"},
    {"no_kv_heads", "31B", "/text_config/num_key_value_heads", "0",
     "text_config.num_key_value_heads: 0"},
    {"no_global_kv_heads", "31B", "/text_config/num_global_key_value_heads", "0",
     "text_config.num_global_key_value_heads: 0"},
    {"negative_head_dim", "31B", "/text_config/head_dim", "-256", "text_config.head_dim: -256"},
    {"odd_head_dim", "31B", "/text_config/head_dim", "255", "head_dim: 255 in layer 0 is odd"},
    {"odd_global_head_dim", "31B", "/text_config/global_head_dim", "511", "511 in layer 5"},
    {"no_layers", "31B", "/text_config/num_hidden_layers", "0", "num_hidden_layers: 0"},
    {"absurd_layers", "31B", "/text_config/num_hidden_layers", "2000000000",
     "num_hidden_layers: 2000000000 where an integer from 1 to 1024"},
    {"absurd_vocabulary", "31B", "/text_config/vocab_size", "9000000000000000000",
     "vocab_size: 9000000000000000000"},
    {"absurd_hidden_size", "31B", "/text_config/hidden_size", "65537", "hidden_size: 65537"},
    {"absurd_mlp", "31B", "/text_config/intermediate_size", "2097152", "intermediate_size: "},
    {"no_window", "31B", "/text_config/sliding_window", "", "sliding_window: missing"},
    {"zero_window", "31B", "/text_config/sliding_window", "0", "sliding_window: 0"},
    {"no_context", "31B", "/text_config/max_position_embeddings", "null",
     "max_position_embeddings: missing"},
    {"text_for_a_number", "31B", "/text_config/hidden_size", R"("5376")",
     R"(hidden_size: "5376" where an integer)"},
    {"fraction_for_an_integer", "31B", "/text_config/hidden_size", "5376.0", "hidden_size: "},
    {"zero_eps", "31B", "/text_config/rms_norm_eps", "0", "rms_norm_eps: 0"},
    {"negative_cap", "31B", "/text_config/final_logit_softcapping", "-30.0",
     "final_logit_softcapping: -30"},
    {"heads_do_not_divide", "31B", "/text_config/num_key_value_heads", "12",
     "num_key_value_heads: 12 in layer 0 does not divide num_attention_heads = 32"},
    {"global_heads_do_not_divide", "31B", "/text_config/num_global_key_value_heads", "3",
     "3 in layer 5 does not divide"},
    {"attention_bias", "31B", "/text_config/attention_bias", "true", "attention_bias: true"},
    {"score_cap", "31B", "/text_config/attn_logit_softcapping", "50.0", "attn_logit_softcapping: "},
    {"other_activation", "31B", "/text_config/hidden_activation", R"("silu")",
     R"(hidden_activation: "silu")"},
    {"bidirectional_everywhere", "31B", "/text_config/use_bidirectional_attention", R"("all")",
     R"(use_bidirectional_attention: "all")"},
    {"bidirectional_of_wrong_type", "31B", "/text_config/use_bidirectional_attention", "true",
     "use_bidirectional_attention: true"},
    {"unknown_rope", "31B", "/text_config/rope_parameters/full_attention/rope_type", R"("yarn")",
     R"(text_config.rope_parameters.full_attention.rope_type: "yarn")"},
    {"no_rope_type", "31B", "/text_config/rope_parameters/full_attention/rope_type", "",
     "rope_parameters.full_attention.rope_type: missing"},
    {"no_sliding_rope", "31B", "/text_config/rope_parameters/sliding_attention", "",
     "rope_parameters.sliding_attention: missing"},
    {"zero_theta", "31B", "/text_config/rope_parameters/sliding_attention/rope_theta", "0",
     "rope_parameters.sliding_attention.rope_theta: 0"},
    {"partial_default_rope", "31B",
     "/text_config/rope_parameters/sliding_attention/partial_rotary_factor", "0.25",
     "rope_parameters.sliding_attention.partial_rotary_factor: 0.25"},
    {"rotary_factor_above_1", "31B",
     "/text_config/rope_parameters/full_attention/partial_rotary_factor", "1.5",
     "partial_rotary_factor: 1.5"},
    {"zero_rope_factor", "31B", "/text_config/rope_parameters/full_attention/factor", "0",
     "rope_parameters.full_attention.factor: 0"},
    {"too_few_layer_types", "31B", "/text_config/layer_types", R"(["full_attention"])",
     "layer_types: a list of 1 values where a list of num_hidden_layers = 60"},
    {"unknown_layer_type", "31B", "/text_config/layer_types/7", R"("chunked_attention")",
     R"(layer_types[7]: "chunked_attention" is neither)"},
    {"layer_type_of_wrong_type", "31B", "/text_config/layer_types/7", "1", "layer_types[7]: 1"},
    {"all_layers_shared", "E2B", "/text_config/num_kv_shared_layers", "35",
     "num_kv_shared_layers: 35 where an integer from 0 to 34"},
    {"no_global_layer_owns", "E2B", "/text_config/num_kv_shared_layers", "31",
     "num_kv_shared_layers: 31 leaves no full_attention layer whose K/V layer 4"},
    {"no_per_layer_size", "E2B", "/text_config/hidden_size_per_layer_input", "",
     "hidden_size_per_layer_input: missing"},
    {"short_per_layer_table", "E2B", "/text_config/vocab_size_per_layer_input", "1000",
     "vocab_size_per_layer_input: 1000 is less than vocab_size = 262144"},
    {"no_experts", "26B-A4B", "/text_config/num_experts", "null", "num_experts: missing"},
    {"more_chosen_than_there_are", "26B-A4B", "/text_config/top_k_experts", "129",
     "top_k_experts: 129 where an integer from 1 to 128"},
    {"no_expert_width", "26B-A4B", "/text_config/moe_intermediate_size", "null",
     "moe_intermediate_size: missing"},
    {"experts_of_wrong_type", "26B-A4B", "/text_config/enable_moe_block", "1",
     "enable_moe_block: 1 where true or false"},
    {"override_of_no_layer", "31B", "/text_config/per_layer_config", R"({"60": {}})",
     R"(per_layer_config."60": is no layer from 0 to 59)"},
    {"override_of_a_name", "31B", "/text_config/per_layer_config", R"({"all": {}})",
     R"(per_layer_config."all": is no layer)"},
    {"override_twice", "31B", "/text_config/per_layer_config", R"({"05": {}, "5": {}})",
     "per_layer_config.5: this layer is there twice"},
    {"override_that_is_null", "31B", "/text_config/per_layer_config", R"({"5": null})",
     "per_layer_config.5: missing"},
    {"override_of_another_setting", "31B", "/text_config/per_layer_config",
     R"({"5": {"intermediate_size": 8}})",
     R"(per_layer_config.5."intermediate_size": is not supported)"},
    {"override_without_heads", "31B", "/text_config/per_layer_config",
     R"({"5": {"num_key_value_heads": 0}})", "per_layer_config.5.num_key_value_heads: 0"},
    {"overrides_that_differ_within_a_kind", "31B", "/text_config/per_layer_config",
     R"({"5": {"head_dim": 512}})",
     "per_layer_config: layer 11 has head_dim 256 and 16 KV heads, earlier full_attention"},
    {"overrides_of_wrong_type", "31B", "/text_config/per_layer_config", "[]",
     "per_layer_config: a list"},
    {"negative_end_token", "31B", "/eos_token_id", "[1, -1]", "eos_token_id: -1"},
    {"end_token_of_wrong_type", "31B", "/eos_token_id", R"("<eos>")", "eos_token_id: \"<eos>\""},
    {"placeholder_of_wrong_type", "31B", "/image_token_id", R"("x")", "image_token_id: \"x\""},
    {"tie_of_wrong_type", "31B", "/tie_word_embeddings", R"("yes")",
     "tie_word_embeddings: \"yes\""},
};
INSTANTIATE_TEST_SUITE_P(Settings, BadConfigTest, ::testing::ValuesIn(kBadConfigs),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ModelConfigTest, RefusesWhatIsNoJsonObject) {
  EXPECT_THAT(ParseModelConfig(""), StatusIs(kInvalid));
  EXPECT_THAT(ParseModelConfig("[]"), StatusIs(kInvalid));
  EXPECT_THAT(ParseModelConfig("{\"a\":" + std::string(100000, '[')), StatusIs(kInvalid));
  EXPECT_THAT(ParseModelConfig(R"({"model_type": "gemma4", "model_type": "gemma4"})"),
              StatusIs(kInvalid, HasSubstr("twice")));
}

TEST(LoadModelConfigTest, ReadsTheFileAndNamesItInErrors) {
  const std::string dir = MakeTestDir();
  EXPECT_THAT(LoadModelConfig(dir),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(dir + "/config.json")));
  WriteFile(dir + "/config.json", ReleasedConfig("E4B").dump());
  ASSERT_THAT(LoadModelConfig(dir), IsOk());
  EXPECT_EQ(LoadModelConfig(dir)->num_layers, 42);
  WriteFile(dir + "/config.json", R"({"model_type": "llama"})");
  EXPECT_THAT(LoadModelConfig(dir),
              StatusIs(kInvalid, HasSubstr(dir + "/config.json: model_type")));
}

}  // namespace
}  // namespace facet
