#ifndef FACET_SHARD_TRANSFORMER_SCRATCH_H_
#define FACET_SHARD_TRANSFORMER_SCRATCH_H_

// The activations of a step: allocated once for the largest step, so that a step allocates nothing.

#include <cstdint>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "model/config.h"
#include "shard/slicing/slice_plan.h"

namespace facet {

struct ScratchLimits {
  int max_step_tokens = 0;
  int max_logit_rows = 0;
};

// Each buffer is used through Buffer::View with the rows of the step at hand. Rows: T tokens of a
// step, R rows with logits. The sizes are of one rank.
struct Scratch {
  Buffer residual;       // [T, H]
  Buffer normed;         // [T, H]
  Buffer rotary_global;  // [T, head_dim], cos and sin of the rows' positions
  Buffer rotary_sliding;
  Buffer qkv;        // [T, q + k + v heads]
  Buffer attention;  // [T, q heads]
  Buffer gate_up;    // [T, 2 * MLP columns]
  Buffer partial;    // [T, H], MoE: [T, 2 H], dense half and experts side by side

  Buffer router_input;   // [T, H], MoE
  Buffer router_logits;  // [T, experts]

  Buffer per_layer;        // [T, layers * P], the per-layer inputs of all layers
  Buffer per_layer_token;  // [T, layers * P]
  Buffer per_layer_gate;   // [T, P]

  // The rows with logits, taken out of the step's rows.
  Buffer kept_residual;   // [R, H]
  Buffer kept_query;      // [R, q heads]
  Buffer kept_per_layer;  // [R, layers that remain * P]

  Buffer hidden;        // [R, H], after the final norm
  Buffer local_logits;  // [R, widest vocabulary slice]
  // With other ranks only.
  Buffer gathered_logits;  // [world_size * R, widest vocabulary slice]
  Buffer logits;           // [R, vocabulary], on rank 0

  // ResourceExhausted without memory.
  static absl::StatusOr<Scratch> Create(const ModelConfig& config, const SlicePlan& slice,
                                        const ScratchLimits& limits, Backend& backend);

  // Bytes that Create takes.
  static int64_t Bytes(const ModelConfig& config, const SlicePlan& slice,
                       const ScratchLimits& limits);
};

// Columns of the vocabulary that each rank contributes to a gather of the logits.
int64_t WidestVocabularySlice(const ModelConfig& config, const SlicePlan& slice);

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_SCRATCH_H_
