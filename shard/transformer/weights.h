#ifndef FACET_SHARD_TRANSFORMER_WEIGHTS_H_
#define FACET_SHARD_TRANSFORMER_WEIGHTS_H_

// One rank's slice of the text model's weights, packed for the backend.
//
// Names of sizes: H hidden size, D head dim, P per-layer input size, V vocabulary; what a rank
// holds of query heads q, KV heads kv, MLP columns I, experts E and expert columns M.

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "kernels/weight_matrix.h"
#include "model/config.h"
#include "model/tensor_names.h"
#include "shard/slicing/slice_plan.h"
#include "shard/transformer/device_vector.h"
#include "shard/transformer/rank_options.h"

namespace facet {

struct AttentionWeights {
  // q over k over v: [(q + 2 kv) D, H]. Without v where V is K's projection, q alone where the
  // layer reads another layer's K/V.
  WeightMatrix qkv;
  WeightMatrix output;  // [H, q D]: this rank's columns, so its product is a part of a sum
  DeviceVector q_norm;  // [D]
  DeviceVector k_norm;  // [D]; empty where the layer owns no K/V
};

struct MlpWeights {
  WeightMatrix gate_up;  // gate over up: [2 I, H]
  WeightMatrix down;     // [H, I]
};

struct MoeWeights {
  WeightMatrix router;                  // [all experts, H], whole on every rank
  DeviceVector router_scale;            // [H], times H^-1/2
  std::vector<float> per_expert_scale;  // [all experts]
  std::vector<WeightMatrix> gate_up;    // of each expert held here: [2 M, H]
  std::vector<WeightMatrix> down;       // [H, M]
  DeviceVector dense_post_norm;         // [H]
  DeviceVector pre_norm;                // [H]
  DeviceVector post_norm;               // [H]
};

// How a layer takes in its part of the per-layer embeddings (E2B, E4B); whole on every rank.
struct PerLayerInputWeights {
  WeightMatrix gate;        // [P, H]
  WeightMatrix projection;  // [H, P]
  DeviceVector post_norm;   // [H]
};

struct LayerWeights {
  DeviceVector input_norm;  // [H], as the next three
  DeviceVector post_attention_norm;
  DeviceVector pre_feedforward_norm;
  DeviceVector post_feedforward_norm;
  float layer_scalar = 1;
  AttentionWeights attention;
  MlpWeights mlp;
  std::optional<MoeWeights> moe;
  std::optional<PerLayerInputWeights> per_layer_input;
};

// Before and after the layers. The two tables are only gathered from: they stay in the mapped
// checkpoint, whole, on every rank, so that a lookup needs no exchange.
struct EmbeddingWeights {
  WeightBlock tokens;     // [V, H]
  float token_scale = 1;  // sqrt(H), in the precision of the mode
  // Per-layer embeddings, where the model has them.
  WeightBlock per_layer;              // [>= V, layers P]
  float per_layer_scale = 1;          // sqrt(P)
  WeightMatrix per_layer_projection;  // [layers P, H]
  DeviceVector per_layer_norm;        // [P]
};

struct HeadWeights {
  DeviceVector norm;    // [H]
  WeightMatrix logits;  // [vocabulary rows of this rank, H]
};

// The format in which a mode keeps a weight that the checkpoint has as `stored`; exact: for the
// router, whose choices must not depend on rounded activations.
WeightFormat FormatOf(ComputeMode mode, DType stored, bool exact = false);

// Immutable once loaded; the backend and the checkpoint must outlive it.
class TransformerWeights {
 public:
  // `slice` is one that MakeSlicePlan made for `config`.
  // InvalidArgument if the checkpoint lacks a tensor (names it); ResourceExhausted without memory.
  static absl::StatusOr<TransformerWeights> Load(const ModelConfig& config,
                                                 const Checkpoint& checkpoint,
                                                 const SlicePlan& slice, ComputeMode mode,
                                                 Backend& backend);

  const EmbeddingWeights& embedding() const { return embedding_; }
  const LayerWeights& layer(int i) const { return layers_[i]; }
  const HeadWeights& head() const { return head_; }

  // Device memory taken; the mapped tables are not counted.
  int64_t bytes() const;

 private:
  TransformerWeights() = default;

  EmbeddingWeights embedding_;
  std::vector<LayerWeights> layers_;
  HeadWeights head_;
};

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_WEIGHTS_H_
