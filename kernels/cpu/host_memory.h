#ifndef FACET_KERNELS_CPU_HOST_MEMORY_H_
#define FACET_KERNELS_CPU_HOST_MEMORY_H_

#include <cstdint>
#include <optional>
#include <string>

namespace facet {

// Bytes this process can still take without anyone being swapped out or killed: the system's
// MemAvailable or, where it is less, what a container's memory limit (cgroup v2) leaves. nullopt if
// neither can be read. `root` is put before the paths, for tests.
std::optional<int64_t> AvailableHostMemory(const std::string& root = "");

}  // namespace facet

#endif  // FACET_KERNELS_CPU_HOST_MEMORY_H_
