#ifndef FACET_KERNELS_CPU_MOE_H_
#define FACET_KERNELS_CPU_MOE_H_

// Mixture of experts on the CPU.

#include "absl/types/span.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/tensor.h"
#include "kernels/weight_matrix.h"

namespace facet::cpu {

// ops::MoeExperts, whose checks the arguments have passed; experts, weights: [x.rows, top_k].
void RunMoeExperts(CpuBackend& backend, const Kernels& kernels, const Tensor& x,
                   const int32_t* experts, const float* weights, int top_k, int first_expert,
                   absl::Span<const WeightMatrix> gate_up, absl::Span<const WeightMatrix> down,
                   const Tensor& out);

}  // namespace facet::cpu

#endif  // FACET_KERNELS_CPU_MOE_H_
