#include "services/vision/vision_weights.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "services/encoder/tower_tensors.h"

namespace facet {
namespace {

absl::StatusOr<VisionLayerWeights> LoadLayer(const VisionConfig& config,
                                             const TowerTensors& tensors, int i) {
  const std::string layer = absl::StrCat("encoder.layers.", i, ".");
  const int64_t hidden = config.hidden_size, width = config.intermediate_size;
  const int64_t heads = int64_t{config.num_heads} * config.head_dim;
  const int64_t kv_heads = int64_t{config.num_kv_heads} * config.head_dim;
  const auto norm = [&](const char* name, int64_t size) {
    return tensors.Vector(absl::StrCat(layer, name, ".weight"), size);
  };
  const auto linear = [&](const char* name, int64_t out, int64_t in) {
    return ClippedLinear::Load(tensors, absl::StrCat(layer, name), out, in, config.clipped_linears);
  };
  VisionLayerWeights w;
  FACET_ASSIGN_OR_RETURN(w.input_norm, norm("input_layernorm", hidden));
  FACET_ASSIGN_OR_RETURN(w.post_attention_norm, norm("post_attention_layernorm", hidden));
  FACET_ASSIGN_OR_RETURN(w.pre_feedforward_norm, norm("pre_feedforward_layernorm", hidden));
  FACET_ASSIGN_OR_RETURN(w.post_feedforward_norm, norm("post_feedforward_layernorm", hidden));
  FACET_ASSIGN_OR_RETURN(w.q_norm, norm("self_attn.q_norm", config.head_dim));
  FACET_ASSIGN_OR_RETURN(w.k_norm, norm("self_attn.k_norm", config.head_dim));
  FACET_ASSIGN_OR_RETURN(w.q, linear("self_attn.q_proj", heads, hidden));
  FACET_ASSIGN_OR_RETURN(w.k, linear("self_attn.k_proj", kv_heads, hidden));
  FACET_ASSIGN_OR_RETURN(w.v, linear("self_attn.v_proj", kv_heads, hidden));
  FACET_ASSIGN_OR_RETURN(w.output, linear("self_attn.o_proj", hidden, heads));
  FACET_ASSIGN_OR_RETURN(w.gate, linear("mlp.gate_proj", width, hidden));
  FACET_ASSIGN_OR_RETURN(w.up, linear("mlp.up_proj", width, hidden));
  FACET_ASSIGN_OR_RETURN(w.down, linear("mlp.down_proj", hidden, width));
  return w;
}

}  // namespace

absl::StatusOr<VisionWeights> VisionWeights::Load(const VisionConfig& config,
                                                  const Checkpoint& checkpoint, ComputeMode mode,
                                                  Backend* backend) {
  const TowerTensors tensors(checkpoint, "model.vision_tower.", mode, backend);
  const int64_t hidden = config.hidden_size;
  const int64_t table = config.position_table_size * hidden;
  VisionWeights w;
  FACET_ASSIGN_OR_RETURN(w.patch_projection,
                         tensors.Matrix("patch_embedder.input_proj.weight", hidden,
                                        int64_t{3} * config.patches.patch * config.patches.patch));
  FACET_ASSIGN_OR_RETURN(std::vector<float> tables,
                         tensors.Floats("patch_embedder.position_embedding_table", 2 * table));
  w.column_table.assign(tables.begin(), tables.begin() + table);
  w.row_table.assign(tables.begin() + table, tables.end());
  for (int i = 0; i < config.num_layers; ++i) {
    FACET_ASSIGN_OR_RETURN(VisionLayerWeights layer, LoadLayer(config, tensors, i));
    w.layers.push_back(std::move(layer));
  }
  if (config.standardize) {
    FACET_ASSIGN_OR_RETURN(w.std_bias, tensors.Floats("std_bias", hidden));
    FACET_ASSIGN_OR_RETURN(w.std_scale, tensors.Floats("std_scale", hidden));
  }
  const TowerTensors embedder(checkpoint, "model.embed_vision.", mode, backend);
  FACET_ASSIGN_OR_RETURN(w.projection, embedder.Matrix("embedding_projection.weight",
                                                       config.text_hidden_size, hidden));
  return w;
}

}  // namespace facet
