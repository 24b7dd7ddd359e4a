#ifndef FACET_SERVICES_SHARD_KERNEL_INFO_H_
#define FACET_SERVICES_SHARD_KERNEL_INFO_H_

// Which attention kernel runs, by kind of layer: a head size or a type that went to a slow one
// would otherwise show in the speed alone.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/dtype.h"
#include "model/config.h"
#include "prometheus/registry.h"

namespace facet {

struct AttentionKernelInfo {
  std::string layers;  // Name(AttentionKind)
  int count = 0;       // of such layers
  int head_dim = 0;
  std::string kv_dtype;
  std::string level;  // of the CPU: Name(CpuLevel)
};

// One entry for each kind and head size, in the order of the layers.
std::vector<AttentionKernelInfo> AttentionKernelsOf(const ModelConfig& config, DType kv_dtype,
                                                    absl::string_view level);

// Logs them, and sets facet_kernel_info{layers=, head_dim=, kv_dtype=, level=} to the number of
// layers.
void ReportKernels(const std::vector<AttentionKernelInfo>& kernels, prometheus::Registry& registry);

}  // namespace facet

#endif  // FACET_SERVICES_SHARD_KERNEL_INFO_H_
