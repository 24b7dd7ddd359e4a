#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

#include "services/shard/rank_setup.h"

namespace facet {
namespace {

// The number in a file that holds just one; `otherwise` if there is none ("max", no such file).
int64_t ReadNumber(const char* path, int64_t otherwise) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? value : otherwise;
}

int64_t MachineAvailable() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  int64_t kib = 0;
  while (file >> name >> kib) {
    std::getline(file, unit);
    if (name == "MemAvailable:") return kib * 1024;
  }
  return std::numeric_limits<int64_t>::max();
}

}  // namespace

int64_t AvailableMemory() {
  constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
  const int64_t limit = ReadNumber("/sys/fs/cgroup/memory.max", kUnlimited);
  if (limit == kUnlimited) return MachineAvailable();
  const int64_t used = ReadNumber("/sys/fs/cgroup/memory.current", 0);
  return std::min(MachineAvailable(), std::max<int64_t>(0, limit - used));
}

}  // namespace facet
