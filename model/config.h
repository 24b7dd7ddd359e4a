#ifndef FACET_MODEL_CONFIG_H_
#define FACET_MODEL_CONFIG_H_

// What a checkpoint's config.json says about the text model, validated once and free of dialects.
//
// Accepted: model_type gemma4 and gemma4_unified (text settings under `text_config`), gemma4_text
// and gemma4_unified_text (text settings at top level); per-layer attention sizes as the flat keys
// `global_head_dim` / `num_global_key_value_heads` or as `per_layer_config`. A setting that the
// transformer does not implement is refused rather than ignored. All numbers are bounded so that
// no product of the sizes of one tensor overflows int64_t, and no sum or product of two sizes that
// belong to one dimension (heads x head_dim, layers x P, 2 x width) overflows int.

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace facet {

// Sliding layers attend to the last `sliding_window` tokens, global ones to all.
enum class AttentionKind { kSliding, kGlobal };

// "sliding_attention" or "full_attention", as config.json spells them.
const char* Name(AttentionKind kind);

// One decoder layer. Layers of one kind agree in head_dim and num_kv_heads.
struct LayerConfig {
  AttentionKind kind = AttentionKind::kSliding;
  int head_dim = 0;      // even
  int num_kv_heads = 0;  // divides num_query_heads
  bool k_eq_v = false;   // V is the output of k_proj (before its norm): there is no v_proj
  bool owns_kv = true;   // false: attends to the K/V of layer kv_source, has no k_proj and v_proj
  int kv_source = 0;     // the layer whose K/V it reads; itself when owns_kv
  int intermediate_size = 0;  // width of the dense MLP
};

// Rotary embedding of one attention kind; D is the head_dim of that kind.
//   kDefault:      all D/2 pairs rotate, f_i = theta^(-2i/D).
//   kProportional: the first floor(partial_rotary_factor * D / 2) pairs rotate with the same f_i
//                  (the exponent's denominator stays D), the others have f_i = 0.
// All f_i are divided by `factor`.
struct RopeConfig {
  enum class Type { kDefault, kProportional };
  Type type = Type::kDefault;
  double theta = 10000.0;
  double partial_rotary_factor = 1.0;  // in [0, 1]; 1 for kDefault
  double factor = 1.0;                 // > 0; 1 for kDefault
};

// The experts beside the dense MLP; every layer of such a model has them.
struct MoeConfig {
  int num_experts = 0;
  int top_k = 0;              // in [1, num_experts]
  int intermediate_size = 0;  // width of one expert
};

struct ModelConfig {
  std::string model_type;  // the top-level one, as in the file, e.g. "gemma4"

  int vocab_size = 0;
  int hidden_size = 0;
  int num_layers = 0;
  int num_query_heads = 0;
  int sliding_window = 0;           // tokens, the query's own included
  int max_position_embeddings = 0;  // context length, tokens
  double rms_norm_eps = 1e-6;
  double final_logit_softcapping = 0;  // c: logits = c tanh(logits / c); 0: none

  std::vector<LayerConfig> layers;  // num_layers entries
  int num_owning_layers = 0;        // layers [0, num_owning_layers) own their K/V
  RopeConfig sliding_rope;
  RopeConfig global_rope;

  std::optional<MoeConfig> moe;
  int per_layer_input_size = 0;       // P, width of the per-layer embeddings; 0: none
  int per_layer_vocab_size = 0;       // rows of their table, >= vocab_size; 0 when P is 0
  bool tie_word_embeddings = true;    // false: the head is lm_head.weight
  bool bidirectional_vision = false;  // vision runs attend both ways in sliding layers

  // Ids that the vocabulary does not hold are left out: no prompt and no model output has them.
  std::vector<int> eos_token_ids;  // sorted, distinct
  std::optional<int> bos_token_id;
  std::optional<int> pad_token_id;
  std::optional<int> image_token_id;  // placeholder, one for each soft token; also the next two
  std::optional<int> video_token_id;
  std::optional<int> audio_token_id;
  std::optional<int> begin_image_token_id;  // around the soft tokens of an image or a frame
  std::optional<int> end_image_token_id;
  std::optional<int> begin_audio_token_id;  // around those of a clip
  std::optional<int> end_audio_token_id;

  bool has_vision = false;  // the checkpoint has a vision (audio) part
  bool has_audio = false;
};

// InvalidArgument names the key, its value and what is allowed.
absl::StatusOr<ModelConfig> ParseModelConfig(absl::string_view json);

// Reads `model_dir`/config.json. NotFound if there is none; otherwise as ParseModelConfig, with the
// file's path in front.
absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& model_dir);

}  // namespace facet

#endif  // FACET_MODEL_CONFIG_H_
