#ifndef FACET_KERNELS_TESTING_BACKENDS_H_
#define FACET_KERNELS_TESTING_BACKENDS_H_

// The backends that a test of an op walks: every CPU level, with one thread and with several.

#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/cpu_level.h"

namespace facet::testing {

inline bool ThisCpuRuns(CpuLevel level) {
  const std::vector<CpuLevel> levels = SupportedCpuLevels();
  return std::find(levels.begin(), levels.end(), level) != levels.end();
}

inline std::unique_ptr<CpuBackend> MakeBackend(CpuLevel level, int threads) {
  CpuOptions options;
  options.threads = threads;
  options.max_level = Name(level);
  auto backend = CpuBackend::Create(options);
  EXPECT_TRUE(backend.ok()) << backend.status();
  return *std::move(backend);
}

struct BackendCase {
  CpuLevel level;
  int threads;
};
inline std::ostream& operator<<(std::ostream& out, const BackendCase& c) {
  return out << Name(c.level) << "_threads_" << c.threads;
}
inline std::string CaseName(const ::testing::TestParamInfo<BackendCase>& info) {
  return std::string(Name(info.param.level)) + "_threads_" + std::to_string(info.param.threads);
}

inline std::vector<BackendCase> AllBackends() {
  std::vector<BackendCase> cases;
  for (CpuLevel level :
       {CpuLevel::kReference, CpuLevel::kAvx2, CpuLevel::kAvx512, CpuLevel::kAvx512Bf16}) {
    for (int threads : {1, 3}) cases.push_back({level, threads});
  }
  return cases;
}

// Skips the levels that this CPU does not run.
class BackendTest : public ::testing::TestWithParam<BackendCase> {
 protected:
  void SetUp() override {
    if (!ThisCpuRuns(GetParam().level)) {
      GTEST_SKIP() << "this CPU does not run " << Name(GetParam().level);
    }
    backend_ = MakeBackend(GetParam().level, GetParam().threads);
  }
  bool IsReference() const { return GetParam().level == CpuLevel::kReference; }

  std::unique_ptr<CpuBackend> backend_;
};

}  // namespace facet::testing

#define FACET_INSTANTIATE_FOR_ALL_BACKENDS(suite)                                               \
  INSTANTIATE_TEST_SUITE_P(Levels, suite, ::testing::ValuesIn(::facet::testing::AllBackends()), \
                           ::facet::testing::CaseName)

#endif  // FACET_KERNELS_TESTING_BACKENDS_H_
