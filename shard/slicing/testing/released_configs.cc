#include "shard/slicing/testing/released_configs.h"

namespace facet::testing {
namespace {

struct Shape {
  int hidden;
  int layers;
  int period;  // the last layer of each period is global
  int query_heads;
  int sliding_kv_heads;
  int global_kv_heads;
  bool k_eq_v;  // in the global layers
  int window;
  int width;
  int shared_layers;
  bool double_wide;  // in the shared layers
  int per_layer_input;
};

LayerConfig MakeLayer(const Shape& shape, int i) {
  const int own = shape.layers - shape.shared_layers;
  LayerConfig layer;
  const bool global = (i + 1) % shape.period == 0;
  layer.kind = global ? AttentionKind::kGlobal : AttentionKind::kSliding;
  layer.head_dim = global ? 512 : 256;
  layer.num_kv_heads = global ? shape.global_kv_heads : shape.sliding_kv_heads;
  layer.k_eq_v = global && shape.k_eq_v;
  layer.owns_kv = i < own;
  layer.kv_source = layer.owns_kv ? i : global ? own - 1 : own - 2;
  layer.intermediate_size = shape.width * (shape.double_wide && !layer.owns_kv ? 2 : 1);
  return layer;
}

ModelConfig Make(const Shape& shape) {
  ModelConfig config;
  config.model_type = "gemma4";
  config.vocab_size = 262144;
  config.hidden_size = shape.hidden;
  config.num_layers = shape.layers;
  config.num_query_heads = shape.query_heads;
  config.sliding_window = shape.window;
  config.max_position_embeddings = shape.window * 256;
  config.final_logit_softcapping = 30;
  config.num_owning_layers = shape.layers - shape.shared_layers;
  for (int i = 0; i < shape.layers; ++i) config.layers.push_back(MakeLayer(shape, i));
  config.global_rope = {RopeConfig::Type::kProportional, 1e6, 0.25, 1.0};
  config.per_layer_input_size = shape.per_layer_input;
  config.per_layer_vocab_size = shape.per_layer_input > 0 ? 262144 : 0;
  config.eos_token_ids = {1, 106};
  return config;
}

}  // namespace

ModelConfig E2bConfig() {
  return Make({.hidden = 1536,
               .layers = 35,
               .period = 5,
               .query_heads = 8,
               .sliding_kv_heads = 1,
               .global_kv_heads = 1,
               .k_eq_v = false,
               .window = 512,
               .width = 6144,
               .shared_layers = 20,
               .double_wide = true,
               .per_layer_input = 256});
}

ModelConfig E4bConfig() {
  return Make({.hidden = 2560,
               .layers = 42,
               .period = 6,
               .query_heads = 8,
               .sliding_kv_heads = 2,
               .global_kv_heads = 2,
               .k_eq_v = false,
               .window = 512,
               .width = 10240,
               .shared_layers = 18,
               .double_wide = false,
               .per_layer_input = 256});
}

ModelConfig Moe26bConfig() {
  ModelConfig config = Make({.hidden = 2816,
                             .layers = 30,
                             .period = 6,
                             .query_heads = 16,
                             .sliding_kv_heads = 8,
                             .global_kv_heads = 2,
                             .k_eq_v = true,
                             .window = 1024,
                             .width = 2112,
                             .shared_layers = 0,
                             .double_wide = false,
                             .per_layer_input = 0});
  config.moe = MoeConfig{128, 8, 704};
  return config;
}

ModelConfig Dense31bConfig() {
  return Make({.hidden = 5376,
               .layers = 60,
               .period = 6,
               .query_heads = 32,
               .sliding_kv_heads = 16,
               .global_kv_heads = 4,
               .k_eq_v = true,
               .window = 1024,
               .width = 21504,
               .shared_layers = 0,
               .double_wide = false,
               .per_layer_input = 0});
}

}  // namespace facet::testing
