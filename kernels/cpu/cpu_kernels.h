#ifndef FACET_KERNELS_CPU_CPU_KERNELS_H_
#define FACET_KERNELS_CPU_CPU_KERNELS_H_

// The kernels of each CPU level, in tables that ops, tests and benchmarks choose from.

#include "kernels/cpu/attention_kernels.h"
#include "kernels/cpu/cpu_level.h"
#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/row_kernels.h"
#include "kernels/cpu/tower_kernels.h"

namespace facet::cpu {

struct Kernels {
  const MatMulKernels* matmul;
  const AttentionKernels* attention;
  const RowKernels* rows;
  const TowerKernels* tower;
};

const Kernels& KernelsFor(CpuLevel level);

}  // namespace facet::cpu

#endif  // FACET_KERNELS_CPU_CPU_KERNELS_H_
