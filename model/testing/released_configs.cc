#include "model/testing/released_configs.h"

#include <map>

namespace facet::testing {
namespace {

using Json = nlohmann::json;

Json LayerTypes(int num_layers, int period) {
  Json types = Json::array();
  for (int i = 1; i <= num_layers; ++i) {
    types.push_back(i % period == 0 ? "full_attention" : "sliding_attention");
  }
  return types;
}

const Json& CommonText() {
  static const Json text = Json::parse(R"({
    "attention_bias": false,
    "attention_dropout": 0.0,
    "attention_k_eq_v": false,
    "bos_token_id": 2,
    "enable_moe_block": false,
    "eos_token_id": 1,
    "final_logit_softcapping": 30.0,
    "global_head_dim": 512,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size_per_layer_input": 0,
    "model_type": "gemma4_text",
    "moe_intermediate_size": null,
    "num_experts": null,
    "num_global_key_value_heads": null,
    "num_kv_shared_layers": 0,
    "pad_token_id": 0,
    "rms_norm_eps": 1e-06,
    "rope_parameters": {
      "full_attention": {
        "partial_rotary_factor": 0.25, "rope_theta": 1000000.0, "rope_type": "proportional"
      },
      "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"}
    },
    "tie_word_embeddings": true,
    "top_k_experts": null,
    "use_bidirectional_attention": null,
    "use_double_wide_mlp": false,
    "vocab_size": 262144,
    "vocab_size_per_layer_input": 262144
  })");
  return text;
}

struct Variant {
  int period;  // every period-th layer is global
  Json text;   // what differs from CommonText
};

const std::map<std::string, Variant>& Variants() {
  static const std::map<std::string, Variant> variants = {
      {"E2B", {5, Json::parse(R"({
        "hidden_size": 1536, "hidden_size_per_layer_input": 256, "intermediate_size": 6144,
        "max_position_embeddings": 131072, "num_attention_heads": 8, "num_hidden_layers": 35,
        "num_key_value_heads": 1, "num_kv_shared_layers": 20, "sliding_window": 512,
        "use_double_wide_mlp": true})")}},
      {"E4B", {6, Json::parse(R"({
        "hidden_size": 2560, "hidden_size_per_layer_input": 256, "intermediate_size": 10240,
        "max_position_embeddings": 131072, "num_attention_heads": 8, "num_hidden_layers": 42,
        "num_key_value_heads": 2, "num_kv_shared_layers": 18, "sliding_window": 512})")}},
      {"12B", {6, Json::parse(R"({
        "attention_k_eq_v": true, "hidden_size": 3840, "intermediate_size": 15360,
        "max_position_embeddings": 262144, "model_type": "gemma4_unified_text",
        "num_attention_heads": 16, "num_global_key_value_heads": 1, "num_hidden_layers": 48,
        "num_key_value_heads": 8, "sliding_window": 1024,
        "use_bidirectional_attention": "vision"})")}},
      {"26B-A4B", {6, Json::parse(R"({
        "attention_k_eq_v": true, "enable_moe_block": true, "hidden_size": 2816,
        "intermediate_size": 2112, "max_position_embeddings": 262144,
        "moe_intermediate_size": 704, "num_attention_heads": 16, "num_experts": 128,
        "num_global_key_value_heads": 2, "num_hidden_layers": 30, "num_key_value_heads": 8,
        "sliding_window": 1024, "top_k_experts": 8, "use_bidirectional_attention": "vision"})")}},
      {"31B", {6, Json::parse(R"({
        "attention_k_eq_v": true, "hidden_size": 5376, "intermediate_size": 21504,
        "max_position_embeddings": 262144, "num_attention_heads": 32,
        "num_global_key_value_heads": 4, "num_hidden_layers": 60, "num_key_value_heads": 16,
        "sliding_window": 1024, "use_bidirectional_attention": "vision"})")}},
  };
  return variants;
}

}  // namespace

const std::vector<std::string>& ReleasedVariants() {
  static const std::vector<std::string> names = {"E2B", "E4B", "12B", "26B-A4B", "31B"};
  return names;
}

Json ReleasedConfig(const std::string& variant) {
  const Variant& v = Variants().at(variant);
  Json text = CommonText();
  text.update(v.text);
  text["layer_types"] = LayerTypes(text["num_hidden_layers"], v.period);
  Json config = Json::parse(R"({
    "audio_config": null, "audio_token_id": 258881, "boa_token_id": 256000,
    "boi_token_id": 255999, "eoa_token_id": 258883, "eoi_token_id": 258882,
    "eos_token_id": [1, 106], "image_token_id": 258880, "model_type": "gemma4",
    "tie_word_embeddings": true, "video_token_id": 258884, "vision_config": {},
    "vision_soft_tokens_per_image": 280})");
  if (text["model_type"] == "gemma4_unified_text") config["model_type"] = "gemma4_unified";
  if (variant == "E2B" || variant == "E4B" || variant == "12B") {
    config["audio_config"] = Json::object();
  }
  config["text_config"] = std::move(text);
  return config;
}

}  // namespace facet::testing
