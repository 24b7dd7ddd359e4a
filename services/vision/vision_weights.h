#ifndef FACET_SERVICES_VISION_VISION_WEIGHTS_H_
#define FACET_SERVICES_VISION_VISION_WEIGHTS_H_

// The weights of the vision tower and of its projection into the text model.
// Sizes: D the tower's hidden size, A = heads x head_dim, K = KV heads x head_dim, F its MLP width,
// H the text model's hidden size.

#include <vector>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "kernels/weight_matrix.h"
#include "model/checkpoint.h"
#include "services/encoder/clipped_linear.h"
#include "services/vision/vision_config.h"
#include "shard/transformer/device_vector.h"
#include "shard/transformer/rank_options.h"

namespace facet {

struct VisionLayerWeights {
  DeviceVector input_norm, post_attention_norm, pre_feedforward_norm, post_feedforward_norm;  // [D]
  DeviceVector q_norm, k_norm;    // [head_dim]
  ClippedLinear q, k, v, output;  // [A, D], [K, D], [K, D], [D, A]
  ClippedLinear gate, up;         // [F, D]
  ClippedLinear down;             // [D, F]
};

struct VisionWeights {
  WeightMatrix patch_projection;               // [D, patch * patch * 3]
  std::vector<float> column_table, row_table;  // [positions, D]
  std::vector<VisionLayerWeights> layers;
  std::vector<float> std_bias, std_scale;  // [D]; empty unless the tower standardizes
  WeightMatrix projection;                 // [H, D]

  // InvalidArgument names a tensor that is missing or misshapen; ResourceExhausted without memory.
  static absl::StatusOr<VisionWeights> Load(const VisionConfig& config,
                                            const Checkpoint& checkpoint, ComputeMode mode,
                                            Backend* backend);
};

}  // namespace facet

#endif  // FACET_SERVICES_VISION_VISION_WEIGHTS_H_
