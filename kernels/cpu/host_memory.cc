#include "kernels/cpu/host_memory.h"

#include <algorithm>
#include <fstream>

namespace facet {
namespace {

// The number in a file that holds nothing else; "max" is no number.
std::optional<int64_t> ReadNumber(const std::string& path) {
  std::ifstream file(path);
  int64_t value = 0;
  if (!(file >> value) || value < 0) return std::nullopt;
  return value;
}

std::optional<int64_t> MemAvailable(const std::string& root) {
  std::ifstream file(root + "/proc/meminfo");
  for (std::string key; file >> key;) {
    int64_t kib = 0;
    if (key == "MemAvailable:" && file >> kib) return kib * 1024;
    file.ignore(1 << 10, '\n');
  }
  return std::nullopt;
}

std::optional<int64_t> LeftInCgroup(const std::string& root) {
  const std::optional<int64_t> limit = ReadNumber(root + "/sys/fs/cgroup/memory.max");
  const std::optional<int64_t> used = ReadNumber(root + "/sys/fs/cgroup/memory.current");
  if (!limit.has_value() || !used.has_value()) return std::nullopt;
  // Used memory counts the files cached for this container, which go when memory is short.
  const int64_t cached = [&] {
    std::ifstream file(root + "/sys/fs/cgroup/memory.stat");
    int64_t bytes = 0;
    for (std::string key; file >> key;) {
      if (key == "inactive_file" && file >> bytes) return bytes;
      file.ignore(1 << 10, '\n');
    }
    return int64_t{0};
  }();
  return std::max<int64_t>(0, *limit - *used + cached);
}

}  // namespace

std::optional<int64_t> AvailableHostMemory(const std::string& root) {
  const std::optional<int64_t> system = MemAvailable(root);
  const std::optional<int64_t> cgroup = LeftInCgroup(root);
  if (!system.has_value()) return cgroup;
  if (!cgroup.has_value()) return system;
  return std::min(*system, *cgroup);
}

}  // namespace facet
