#include "kernels/cpu/cpu_kernels.h"

namespace facet {

// Each level's files define these.
#define FACET_DECLARE_KERNELS(level)                    \
  namespace level {                                     \
  extern const cpu::MatMulKernels kMatMulKernels;       \
  extern const cpu::AttentionKernels kAttentionKernels; \
  extern const cpu::RowKernels kRowKernels;             \
  extern const cpu::TowerKernels kTowerKernels;         \
  }

FACET_DECLARE_KERNELS(reference)
#if defined(__x86_64__)
FACET_DECLARE_KERNELS(avx2)
FACET_DECLARE_KERNELS(avx512)
FACET_DECLARE_KERNELS(avx512bf16)
#endif

#define FACET_KERNEL_TABLE(level) \
  { &level::kMatMulKernels, &level::kAttentionKernels, &level::kRowKernels, &level::kTowerKernels }

namespace cpu {

const Kernels& KernelsFor(CpuLevel level) {
  switch (level) {
#if defined(__x86_64__)
    case CpuLevel::kAvx2: {
      static constexpr Kernels kKernels = FACET_KERNEL_TABLE(avx2);
      return kKernels;
    }
    case CpuLevel::kAvx512: {
      static constexpr Kernels kKernels = FACET_KERNEL_TABLE(avx512);
      return kKernels;
    }
    case CpuLevel::kAvx512Bf16: {
      static constexpr Kernels kKernels = FACET_KERNEL_TABLE(avx512bf16);
      return kKernels;
    }
#endif
    default: {
      static constexpr Kernels kKernels = FACET_KERNEL_TABLE(reference);
      return kKernels;
    }
  }
}

}  // namespace cpu
}  // namespace facet
