#ifndef FACET_SHARD_TRANSFORMER_RANK_OPTIONS_H_
#define FACET_SHARD_TRANSFORMER_RANK_OPTIONS_H_

#include "base/dtype.h"

namespace facet {

// In which precision a rank computes.
enum class ComputeMode {
  // float32 activations, weights exactly as the checkpoint has them: tracks the float32 reference.
  kF32,
  // bfloat16 weights, products of bfloat16 pairs where the CPU has them, float32 sums.
  kBF16,
};

// The usual type of cached keys and values for a mode.
inline DType DefaultKvDType(ComputeMode mode) {
  return mode == ComputeMode::kBF16 ? DType::kBF16 : DType::kF32;
}

// Everything but `rank` must be equal on all ranks of a group.
struct RankOptions {
  int rank = 0;
  int world_size = 1;
  // Experts whole over the ranks; false: each expert cut in world_size parts.
  bool expert_parallel = false;
  ComputeMode mode = ComputeMode::kF32;
  DType kv_dtype = DType::kF32;  // one of IsKvType

  // KV pages: positions a page, and pages of each pool (page ids are below these).
  int page_tokens = 16;
  int global_pages = 0;
  int sliding_pages = 0;

  // Largest step: tokens of all sequences together, and rows with logits.
  int max_step_tokens = 512;
  int max_logit_rows = 64;
};

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_RANK_OPTIONS_H_
