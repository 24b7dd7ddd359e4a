#ifndef FACET_SHARD_TRANSFORMER_HEAD_H_
#define FACET_SHARD_TRANSFORMER_HEAD_H_

#include "absl/status/statusor.h"
#include "kernels/tensor.h"
#include "shard/transformer/step_context.h"

namespace facet {

// Logits of the rows at hand: cap * tanh(rmsnorm(x) @ head^T / cap). Each rank computes its part of
// the vocabulary; rank 0 gets them all: [rows, vocabulary], in scratch memory. Other ranks get a
// tensor without rows. Errors: the collective's.
absl::StatusOr<Tensor> RunHead(StepContext& step);

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_HEAD_H_
