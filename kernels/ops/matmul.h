#ifndef FACET_KERNELS_OPS_MATMUL_H_
#define FACET_KERNELS_OPS_MATMUL_H_

#include "kernels/backend.h"
#include "kernels/tensor.h"
#include "kernels/weight_matrix.h"

namespace facet::ops {

// out[t, n] = sum_k x[t, k] * w[n, k]
// Shapes: x [tokens, in], w [out, in], out [tokens, out]; out must not overlap x.
// The sum over k runs in one fixed order for each (t, n), whatever `tokens` is, so a row's result
// does not depend on the other rows of the batch.
void MatMul(Backend& backend, const Tensor& x, const WeightMatrix& w, const Tensor& out);

}  // namespace facet::ops

#endif  // FACET_KERNELS_OPS_MATMUL_H_
