#include "kernels/cpu/cpu_level.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "gtest/gtest.h"

namespace facet {
namespace {

TEST(CpuLevelTest, HasANameForEachLevelThatParsesBack) {
  for (CpuLevel level :
       {CpuLevel::kReference, CpuLevel::kAvx2, CpuLevel::kAvx512, CpuLevel::kAvx512Bf16}) {
    EXPECT_EQ(ParseCpuLevel(Name(level)), level);
  }
  EXPECT_EQ(ParseCpuLevel("sse9"), std::nullopt);
  EXPECT_EQ(ParseCpuLevel(""), std::nullopt);
}

TEST(CpuLevelTest, SupportsTheReferenceEverywhereAndNoLevelWithoutThoseBelow) {
  const std::vector<CpuLevel> levels = SupportedCpuLevels();
  ASSERT_FALSE(levels.empty());
  EXPECT_EQ(levels.front(), CpuLevel::kReference);
  for (size_t i = 0; i < levels.size(); ++i) EXPECT_EQ(static_cast<size_t>(levels[i]), i);
}

}  // namespace
}  // namespace facet
