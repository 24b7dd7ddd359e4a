#ifndef FACET_KERNELS_CPU_MATMUL_H_
#define FACET_KERNELS_CPU_MATMUL_H_

// Matrix multiplication on the CPU: packing of the activations, and the division of one or many
// products into small tasks.

#include <cstdint>

#include "absl/types/span.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/matmul_kernels.h"
#include "kernels/weight_matrix.h"

namespace facet::cpu {

// out[t, n] = sum_k rows[t][k] * weights[n, k] for the `tokens` rows of one weight matrix.
struct MatMulJob {
  const WeightMatrix* weights;
  const float* const* rows;  // [tokens] pointers to `in` floats each
  int64_t tokens;
  float* out;  // [tokens, out]
  int64_t out_stride;
};

// Runs the jobs as one parallel loop. Uses the scratch memory kMatMulTiles and kMatMulPlans.
void RunMatMuls(CpuBackend& backend, const MatMulKernels& kernels,
                absl::Span<const MatMulJob> jobs);

}  // namespace facet::cpu

#endif  // FACET_KERNELS_CPU_MATMUL_H_
