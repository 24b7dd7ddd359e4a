#include "services/shard/kernel_info.h"

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "prometheus/gauge.h"

namespace facet {

std::vector<AttentionKernelInfo> AttentionKernelsOf(const ModelConfig& config, DType kv_dtype,
                                                    absl::string_view level) {
  std::vector<AttentionKernelInfo> kernels;
  for (const LayerConfig& layer : config.layers) {
    const char* layers = Name(layer.kind);
    bool known = false;
    for (AttentionKernelInfo& kernel : kernels) {
      if (kernel.layers != layers || kernel.head_dim != layer.head_dim) continue;
      ++kernel.count;
      known = true;
    }
    if (!known) kernels.push_back({layers, 1, layer.head_dim, Name(kv_dtype), std::string(level)});
  }
  return kernels;
}

void ReportKernels(const std::vector<AttentionKernelInfo>& kernels,
                   prometheus::Registry& registry) {
  auto& family = prometheus::BuildGauge()
                     .Name("facet_kernel_info")
                     .Help("Layers by the attention kernel that they run.")
                     .Register(registry);
  for (const AttentionKernelInfo& kernel : kernels) {
    FACET_LOG(Info) << "attention kernel of " << kernel.count << " layers of " << kernel.layers
                    << ": " << kernel.level << ", heads of " << kernel.head_dim << ", KV in "
                    << kernel.kv_dtype;
    family
        .Add({{"layers", kernel.layers},
              {"head_dim", absl::StrCat(kernel.head_dim)},
              {"kv_dtype", kernel.kv_dtype},
              {"level", kernel.level}})
        .Set(kernel.count);
  }
}

}  // namespace facet
