#include "shard/transformer/mlp.h"

#include "kernels/ops/elementwise.h"
#include "kernels/ops/matmul.h"

namespace facet {

void RunMlp(const StepContext& step, const MlpWeights& weights, const Tensor& x,
            const Tensor& out) {
  const RankParts& rank = step.rank;
  const int64_t columns = weights.down.in();
  const Tensor gate_up = rank.scratch.gate_up.View(x.rows, 2 * columns);
  const Tensor gate = gate_up.Columns(0, columns);
  ops::MatMul(rank.backend, x, weights.gate_up, gate_up);
  ops::GeluMul(rank.backend, gate, gate_up.Columns(columns, columns), gate);
  ops::MatMul(rank.backend, gate, weights.down, out);
}

}  // namespace facet
