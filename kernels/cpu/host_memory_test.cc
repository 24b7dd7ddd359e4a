#include "kernels/cpu/host_memory.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "gtest/gtest.h"

namespace facet {
namespace {

struct HostMemoryCase {
  std::string name;
  std::string meminfo;  // "": no such file
  std::string memory_max;
  std::string memory_current;
  std::string memory_stat;
  std::optional<int64_t> available;
};

class HostMemoryTest : public testing::TestWithParam<HostMemoryCase> {
 protected:
  void Write(const std::string& path, const std::string& text) {
    if (text.empty()) return;
    const std::string full = root_ + path;
    std::filesystem::create_directories(std::filesystem::path(full).parent_path());
    std::ofstream(full) << text;
  }
  const std::string root_ = testing::TempDir() + "/host_memory_" + GetParam().name;
};

TEST_P(HostMemoryTest, IsTheLesserOfSystemAndContainer) {
  const HostMemoryCase& c = GetParam();
  std::filesystem::create_directories(root_);
  Write("/proc/meminfo", c.meminfo);
  Write("/sys/fs/cgroup/memory.max", c.memory_max);
  Write("/sys/fs/cgroup/memory.current", c.memory_current);
  Write("/sys/fs/cgroup/memory.stat", c.memory_stat);
  EXPECT_EQ(AvailableHostMemory(root_), c.available);
}

INSTANTIATE_TEST_SUITE_P(
    Hosts, HostMemoryTest,
    testing::ValuesIn(std::vector<HostMemoryCase>{
        {"system_alone", "MemTotal: 900 kB\nMemFree: 1 kB\nMemAvailable:     5 kB\nBuffers: 2 kB\n",
         "", "", "", 5 * 1024},
        {"container_is_less", "MemAvailable: 500 kB\n", "10000\n", "4000\n",
         "anon 5\ninactive_file 1000\n", 7000},
        {"container_is_more", "MemAvailable: 1 kB\n", "10000\n", "4000\n", "", 1024},
        {"container_without_limit", "MemAvailable: 3 kB\n", "max\n", "4000\n", "", 3 * 1024},
        {"container_over_its_limit", "MemAvailable: 3 kB\n", "4000\n", "5000\n", "", 0},
        {"nothing_to_read", "", "", "", "", std::nullopt},
        {"garbage", "MemAvailable: lots\n", "", "", "", std::nullopt},
    }),
    [](const auto& info) { return info.param.name; });

TEST(HostMemoryOfThisMachineTest, IsSomething) {
  const std::optional<int64_t> available = AvailableHostMemory();
  ASSERT_TRUE(available.has_value());
  EXPECT_GT(*available, 0);
}

}  // namespace
}  // namespace facet
