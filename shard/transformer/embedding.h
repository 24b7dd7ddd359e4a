#ifndef FACET_SHARD_TRANSFORMER_EMBEDDING_H_
#define FACET_SHARD_TRANSFORMER_EMBEDDING_H_

#include "shard/transformer/step_context.h"

namespace facet {

// Cosines and sines of the positions of step.batch, into step.rotary_*.
void ComputeRotary(StepContext& step);

// The residual stream before the layers: x0[t] = table[id[t]] * sqrt(H), and the soft token as it
// is where there is one. Each rank gathers whole rows from the mapped checkpoint, so no exchange is
// needed.
void EmbedTokens(StepContext& step);

// The per-layer inputs of all layers, where the model has them (E2B, E4B):
//   ple = (rmsnorm(x0 @ projection^T * H^-1/2) + per_layer_table[id] * sqrt(P)) * 2^-1/2
// the norm over each layer's P values. The table's row is that of the padding where there is a soft
// token.
void EmbedPerLayer(StepContext& step);

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_EMBEDDING_H_
