#include "model/config.h"

#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/json.h"

namespace facet {
namespace {

// Far above every published size, and low enough that the largest tensor, [E, 2 M, H], stays below
// 2^47 elements.
constexpr int kMaxVocabSize = 1 << 22;
constexpr int kMaxHiddenSize = 1 << 16;
constexpr int kMaxLayers = 1 << 10;
constexpr int kMaxHeads = 1 << 10;
constexpr int kMaxHeadDim = 1 << 12;
constexpr int kMaxIntermediateSize = 1 << 20;
constexpr int kMaxExperts = 1 << 12;
constexpr int kMaxExpertSize = 1 << 18;
constexpr int kMaxPerLayerInputSize = 1 << 13;
constexpr int kMaxPositions = 1 << 24;
constexpr size_t kMaxEndTokens = 256;

constexpr int kDefaultGlobalHeadDim = 512;
constexpr int kDefaultPatternPeriod = 6;  // five sliding layers, then a global one

// config.json: the whole of it and the text settings in it, which are the same in a text-only
// checkpoint. Both share one error.
struct Document {
  JsonObject top;
  JsonObject text;
  bool unified;
};

Document Open(const nlohmann::json& json, absl::Status& error) {
  const JsonObject top(json, error);
  const std::string type = top.String("model_type");
  const bool unified = type == "gemma4_unified" || type == "gemma4_unified_text";
  if (type == "gemma4_text" || type == "gemma4_unified_text") return {top, top, unified};
  if (type != "gemma4" && type != "gemma4_unified") {
    top.Fail("model_type", Quoted(type) +
                               " is not supported; supported are gemma4, gemma4_text, "
                               "gemma4_unified and gemma4_unified_text");
  }
  const JsonObject text = top.Object("text_config");
  const std::string text_type = text.String("model_type", type + "_text");
  if (text_type != type + "_text") {
    text.Fail("model_type", absl::StrCat(Quoted(text_type), " does not go with ", Quoted(type)));
  }
  return {top, text, unified};
}

// Settings that change the computation in ways that the transformer does not know.
void RefuseUnsupported(const Document& in) {
  if (in.top.Has("quantization_config")) {
    in.top.Fail("quantization_config", "quantised checkpoints are not supported");
  }
  if (in.text.Bool("attention_bias", false)) {
    in.text.Fail("attention_bias", "true is not supported: attention has no biases");
  }
  if (in.text.Has("attn_logit_softcapping")) {
    in.text.Fail("attn_logit_softcapping", "is not supported: attention scores are not capped");
  }
  const std::string activation = in.text.String("hidden_activation", "gelu_pytorch_tanh");
  if (activation != "gelu_pytorch_tanh") {
    in.text.Fail("hidden_activation",
                 Quoted(activation) + " is not supported, only \"gelu_pytorch_tanh\"");
  }
}

void ReadSizes(const JsonObject& text, ModelConfig& config) {
  config.vocab_size = text.Int("vocab_size", 1, kMaxVocabSize);
  config.hidden_size = text.Int("hidden_size", 1, kMaxHiddenSize);
  config.num_layers = text.Int("num_hidden_layers", 1, kMaxLayers);
  config.num_query_heads = text.Int("num_attention_heads", 1, kMaxHeads);
  config.sliding_window = text.Int("sliding_window", 1, kMaxPositions);
  config.max_position_embeddings = text.Int("max_position_embeddings", 1, kMaxPositions);
  config.rms_norm_eps = text.Double("rms_norm_eps", 1e-12, 0.1);
  config.final_logit_softcapping = text.Double("final_logit_softcapping", 1e-3, 1e6, 0.0);
}

void ReadBidirectional(const Document& in, ModelConfig& config) {
  constexpr char kKey[] = "use_bidirectional_attention";
  const bool by_default = in.unified && !in.text.HasKey(kKey);
  const std::string mode = in.text.String(kKey, by_default ? "vision" : "");
  if (!mode.empty() && mode != "vision") {
    in.text.Fail(kKey, Quoted(mode) + " is not supported, only null and \"vision\"");
  }
  config.bidirectional_vision = mode == "vision";
}

void ReadPerLayerInputs(const Document& in, ModelConfig& config) {
  constexpr char kKey[] = "hidden_size_per_layer_input";
  // Unified models never have per-layer inputs and need not say so.
  if (!in.unified && !in.text.HasKey(kKey)) in.text.Fail(kKey, "missing");
  config.per_layer_input_size = in.text.Int(kKey, 0, kMaxPerLayerInputSize, 0);
  if (config.per_layer_input_size == 0) return;
  config.per_layer_vocab_size = in.text.Int("vocab_size_per_layer_input", 1, kMaxVocabSize);
  if (config.per_layer_vocab_size < config.vocab_size) {
    in.text.Fail("vocab_size_per_layer_input",
                 absl::StrCat(config.per_layer_vocab_size, " is less than vocab_size = ",
                              config.vocab_size, ": some tokens would have no per-layer input"));
  }
}

void ReadMoe(const JsonObject& text, ModelConfig& config) {
  if (!text.Bool("enable_moe_block", false)) return;
  MoeConfig moe;
  moe.num_experts = text.Int("num_experts", 1, kMaxExperts);
  moe.top_k = text.Int("top_k_experts", 1, moe.num_experts);
  const bool older = !text.Has("moe_intermediate_size") && text.Has("expert_intermediate_size");
  moe.intermediate_size =
      text.Int(older ? "expert_intermediate_size" : "moe_intermediate_size", 1, kMaxExpertSize);
  config.moe = moe;
}

std::vector<AttentionKind> ReadKinds(const JsonObject& text, int num_layers) {
  std::vector<AttentionKind> kinds(num_layers, AttentionKind::kSliding);
  const nlohmann::json* types = text.Find("layer_types");
  if (types == nullptr) {
    for (int i = kDefaultPatternPeriod - 1; i < num_layers; i += kDefaultPatternPeriod) {
      kinds[i] = AttentionKind::kGlobal;
    }
  } else if (!types->is_array() || types->size() != kinds.size()) {
    text.Fail("layer_types", absl::StrCat(Excerpt(*types), " where a list of num_hidden_layers = ",
                                          num_layers, " names is expected"));
  } else {
    for (int i = 0; i < num_layers; ++i) {
      if ((*types)[i] == Name(AttentionKind::kGlobal)) {
        kinds[i] = AttentionKind::kGlobal;
      } else if ((*types)[i] != Name(AttentionKind::kSliding)) {
        text.Fail(
            absl::StrCat("layer_types[", i, "]"),
            Excerpt((*types)[i]) + " is neither \"sliding_attention\" nor \"full_attention\"");
      }
    }
  }
  kinds.back() = AttentionKind::kGlobal;  // whatever the list says, as in the reference
  return kinds;
}

struct AttentionSizes {
  int head_dim;
  int num_kv_heads;
};

// The released dialect: two keys for all global layers.
std::vector<AttentionSizes> ReadFlatSizes(const JsonObject& text, const AttentionSizes& common,
                                          bool k_eq_v, const std::vector<AttentionKind>& kinds) {
  AttentionSizes global;
  global.head_dim = text.Int("global_head_dim", 1, kMaxHeadDim, kDefaultGlobalHeadDim);
  global.num_kv_heads = text.Int("num_global_key_value_heads", 1, kMaxHeads, common.num_kv_heads);
  if (!k_eq_v) global.num_kv_heads = common.num_kv_heads;
  std::vector<AttentionSizes> sizes;
  for (const AttentionKind kind : kinds) {
    sizes.push_back(kind == AttentionKind::kGlobal ? global : common);
  }
  return sizes;
}

// The newer dialect: overrides by layer index. A layer without one has the common sizes whatever
// its kind, and the flat keys, if there are any, do not count.
std::vector<AttentionSizes> ReadPerLayerSizes(const JsonObject& text, const AttentionSizes& common,
                                              int num_layers) {
  std::vector<AttentionSizes> sizes(num_layers, common);
  std::set<int> seen;
  const JsonObject overrides = text.Object("per_layer_config");
  for (const std::string& index : overrides.Keys()) {
    int layer;
    if (!absl::SimpleAtoi(index, &layer) || layer < 0 || layer >= num_layers) {
      overrides.Fail(Quoted(index), absl::StrCat("is no layer from 0 to ", num_layers - 1));
      break;
    }
    // The reference writes "05"; beside "5" that would be ambiguous.
    if (!seen.insert(layer).second) overrides.Fail(index, "this layer is there twice");
    const JsonObject in = overrides.Object(index);
    in.AllowOnly({"head_dim", "num_key_value_heads"});
    sizes[layer].head_dim = in.Int("head_dim", 1, kMaxHeadDim, common.head_dim);
    sizes[layer].num_kv_heads = in.Int("num_key_value_heads", 1, kMaxHeads, common.num_kv_heads);
  }
  return sizes;
}

void CheckAttentionSizes(const JsonObject& text, const ModelConfig& config) {
  const LayerConfig* first[2] = {nullptr, nullptr};  // of each kind
  for (int i = 0; i < config.num_layers; ++i) {
    const LayerConfig& layer = config.layers[i];
    if (layer.head_dim % 2 != 0) {
      text.Fail("head_dim", absl::StrCat(layer.head_dim, " in layer ", i,
                                         " is odd: rotary embeddings turn pairs"));
    }
    if (config.num_query_heads % layer.num_kv_heads != 0) {
      text.Fail("num_key_value_heads",
                absl::StrCat(layer.num_kv_heads, " in layer ", i,
                             " does not divide num_attention_heads = ", config.num_query_heads));
    }
    const LayerConfig*& other = first[static_cast<int>(layer.kind)];
    if (other == nullptr) other = &layer;
    if (layer.head_dim != other->head_dim || layer.num_kv_heads != other->num_kv_heads) {
      text.Fail(
          "per_layer_config",
          absl::StrCat("layer ", i, " has head_dim ", layer.head_dim, " and ", layer.num_kv_heads,
                       " KV heads, earlier ", Name(layer.kind), " layers ", other->head_dim,
                       " and ", other->num_kv_heads, ": layers of one kind must agree"));
    }
  }
}

// Owning layers read their own K/V, the last layers that of the last owning layer of their kind.
void AssignKvSources(const JsonObject& text, ModelConfig& config) {
  std::optional<int> last_owning[2];  // of each kind
  for (int i = 0; i < config.num_layers; ++i) {
    LayerConfig& layer = config.layers[i];
    std::optional<int>& source = last_owning[static_cast<int>(layer.kind)];
    layer.owns_kv = i < config.num_owning_layers;
    if (layer.owns_kv) source = i;
    if (!source.has_value()) {
      text.Fail("num_kv_shared_layers",
                absl::StrCat(config.num_layers - config.num_owning_layers, " leaves no ",
                             Name(layer.kind), " layer whose K/V layer ", i, " could read"));
      return;
    }
    layer.kv_source = *source;
  }
}

void ReadLayers(const JsonObject& text, ModelConfig& config) {
  const AttentionSizes common = {text.Int("head_dim", 1, kMaxHeadDim),
                                 text.Int("num_key_value_heads", 1, kMaxHeads)};
  const int intermediate_size = text.Int("intermediate_size", 1, kMaxIntermediateSize);
  const bool k_eq_v = text.Bool("attention_k_eq_v", false);
  const bool double_wide = text.Bool("use_double_wide_mlp", false);
  config.num_owning_layers =
      config.num_layers - text.Int("num_kv_shared_layers", 0, config.num_layers - 1, 0);
  const std::vector<AttentionKind> kinds = ReadKinds(text, config.num_layers);
  const std::vector<AttentionSizes> sizes = text.Has("per_layer_config")
                                                ? ReadPerLayerSizes(text, common, config.num_layers)
                                                : ReadFlatSizes(text, common, k_eq_v, kinds);
  for (int i = 0; i < config.num_layers; ++i) {
    LayerConfig layer;
    layer.kind = kinds[i];
    layer.head_dim = sizes[i].head_dim;
    layer.num_kv_heads = sizes[i].num_kv_heads;
    layer.k_eq_v = k_eq_v && layer.kind == AttentionKind::kGlobal;
    layer.intermediate_size =
        double_wide && i >= config.num_owning_layers ? 2 * intermediate_size : intermediate_size;
    config.layers.push_back(layer);
  }
  CheckAttentionSizes(text, config);
  AssignKvSources(text, config);
}

RopeConfig ReadRope(const JsonObject& in) {
  RopeConfig rope;
  const std::string type = in.String("rope_type");
  rope.theta = in.Double("rope_theta", 1.0, 1e12);
  if (type == "proportional") {
    rope.type = RopeConfig::Type::kProportional;
    rope.partial_rotary_factor = in.Double("partial_rotary_factor", 0.0, 1.0, 1.0);
    rope.factor = in.Double("factor", 1e-3, 1e6, 1.0);
  } else if (type == "default") {
    in.Double("partial_rotary_factor", 1.0, 1.0, 1.0);
    in.Double("factor", 1.0, 1.0, 1.0);
  } else {
    in.Fail("rope_type", Quoted(type) + " is not supported, only \"default\" and \"proportional\"");
  }
  return rope;
}

void ReadRopes(const JsonObject& text, ModelConfig& config) {
  config.global_rope = {RopeConfig::Type::kProportional, 1e6, 0.25, 1.0};
  if (!text.Has("rope_parameters")) return;
  const JsonObject ropes = text.Object("rope_parameters");
  for (const LayerConfig& layer : config.layers) {
    RopeConfig& rope =
        layer.kind == AttentionKind::kSliding ? config.sliding_rope : config.global_rope;
    rope = ReadRope(ropes.Object(Name(layer.kind)));
  }
}

void ReadTokenIds(const Document& in, ModelConfig& config) {
  const auto holder = [&in](absl::string_view key) { return in.top.Has(key) ? in.top : in.text; };
  const int vocab_size = config.vocab_size;
  config.eos_token_ids = holder("eos_token_id").TokenIds("eos_token_id", vocab_size, kMaxEndTokens);
  config.bos_token_id = holder("bos_token_id").TokenId("bos_token_id", vocab_size);
  config.pad_token_id = holder("pad_token_id").TokenId("pad_token_id", vocab_size);
  config.image_token_id = in.top.TokenId("image_token_id", vocab_size);
  config.video_token_id = in.top.TokenId("video_token_id", vocab_size);
  config.audio_token_id = in.top.TokenId("audio_token_id", vocab_size);
  config.begin_image_token_id = in.top.TokenId("boi_token_id", vocab_size);
  config.end_image_token_id = in.top.TokenId("eoi_token_id", vocab_size);
  config.begin_audio_token_id = in.top.TokenId("boa_token_id", vocab_size);
  // The released checkpoints call it an index.
  const char* const end_audio = in.top.Has("eoa_token_id") ? "eoa_token_id" : "eoa_token_index";
  config.end_audio_token_id = in.top.TokenId(end_audio, vocab_size);
}

absl::StatusOr<ModelConfig> FromJson(const nlohmann::json& json) {
  absl::Status error;
  const Document in = Open(json, error);
  FACET_RETURN_IF_ERROR(error);
  ModelConfig config;
  config.model_type = in.top.String("model_type");
  RefuseUnsupported(in);
  ReadSizes(in.text, config);
  ReadBidirectional(in, config);
  ReadPerLayerInputs(in, config);
  ReadMoe(in.text, config);
  ReadLayers(in.text, config);
  ReadRopes(in.text, config);
  ReadTokenIds(in, config);
  config.tie_word_embeddings =
      in.top.Bool("tie_word_embeddings", in.text.Bool("tie_word_embeddings", true));
  config.has_vision = in.top.Has("vision_config");
  config.has_audio = in.top.Has("audio_config");
  FACET_RETURN_IF_ERROR(error);
  return config;
}

}  // namespace

const char* Name(AttentionKind kind) {
  return kind == AttentionKind::kSliding ? "sliding_attention" : "full_attention";
}

absl::StatusOr<ModelConfig> ParseModelConfig(absl::string_view json) {
  FACET_ASSIGN_OR_RETURN(const nlohmann::json value, ParseJson(json));
  return FromJson(value);
}

absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& model_dir) {
  const std::string path = absl::StrCat(model_dir, "/config.json");
  FACET_ASSIGN_OR_RETURN(const nlohmann::json value, ReadJsonFile(path));
  absl::StatusOr<ModelConfig> config = FromJson(value);
  if (!config.ok()) return Annotate(config.status(), path);
  return config;
}

}  // namespace facet
