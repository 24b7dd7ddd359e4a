#include "kernels/cpu/cpu_level.h"

namespace facet {
namespace {

constexpr CpuLevel kLevels[] = {CpuLevel::kReference, CpuLevel::kAvx2, CpuLevel::kAvx512,
                                CpuLevel::kAvx512Bf16};

bool IsSupported(CpuLevel level) {
  switch (level) {
    case CpuLevel::kReference:
      return true;
#if defined(__x86_64__)
    case CpuLevel::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("f16c");
    case CpuLevel::kAvx512:
      return IsSupported(CpuLevel::kAvx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
    case CpuLevel::kAvx512Bf16:
      return IsSupported(CpuLevel::kAvx512) && __builtin_cpu_supports("avx512bf16");
#endif
    default:
      return false;
  }
}

}  // namespace

const char* Name(CpuLevel level) {
  switch (level) {
    case CpuLevel::kReference:
      return "reference";
    case CpuLevel::kAvx2:
      return "avx2";
    case CpuLevel::kAvx512:
      return "avx512";
    case CpuLevel::kAvx512Bf16:
      return "avx512bf16";
  }
  return "?";
}

std::optional<CpuLevel> ParseCpuLevel(const std::string& name) {
  for (CpuLevel level : kLevels) {
    if (name == Name(level)) return level;
  }
  return std::nullopt;
}

std::vector<CpuLevel> SupportedCpuLevels() {
  std::vector<CpuLevel> levels;
  for (CpuLevel level : kLevels) {
    if (IsSupported(level)) levels.push_back(level);
  }
  return levels;
}

}  // namespace facet
