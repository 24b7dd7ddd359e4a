#ifndef FACET_KERNELS_CPU_CPU_LEVEL_H_
#define FACET_KERNELS_CPU_CPU_LEVEL_H_

// The instruction sets that the CPU kernels are built for. A binary holds them all and chooses at
// run time.

#include <optional>
#include <string>
#include <vector>

namespace facet {

// In rising order: a CPU that runs a level runs those before it.
enum class CpuLevel {
  kReference,   // plain C++, sums in double: what the others are tested against
  kAvx2,        // AVX2, FMA, F16C
  kAvx512,      // AVX-512 F, BW, DQ, VL; the same results as kAvx2, bit for bit
  kAvx512Bf16,  // and AVX512_BF16, for WeightFormat::kBF16Dot
};

const char* Name(CpuLevel level);  // "reference", "avx2", "avx512", "avx512bf16"
std::optional<CpuLevel> ParseCpuLevel(const std::string& name);

// Those that this CPU runs, lowest first. Never empty.
std::vector<CpuLevel> SupportedCpuLevels();

}  // namespace facet

#endif  // FACET_KERNELS_CPU_CPU_LEVEL_H_
