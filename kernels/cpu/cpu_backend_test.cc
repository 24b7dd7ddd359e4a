#include "kernels/cpu/cpu_backend.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cpu/thread_pool.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

CpuOptions Options(int threads, const std::string& max_level) {
  CpuOptions options;
  options.threads = threads;
  options.max_level = max_level;
  return options;
}

TEST(CpuBackendTest, TakesAThreadPerCoreAndTheHighestLevelByDefault) {
  auto backend = CpuBackend::Create({});
  ASSERT_THAT(backend, IsOk());
  EXPECT_EQ((*backend)->pool().threads(), AvailableCores());
  EXPECT_EQ((*backend)->cpu_level(), SupportedCpuLevels().back());
  EXPECT_EQ((*backend)->device(), Device::kCpu);
}

TEST(CpuBackendTest, StaysAtOrBelowTheLevelAskedFor) {
  for (const char* level : {"reference", "avx2", "avx512", "avx512bf16"}) {
    auto backend = CpuBackend::Create(Options(1, level));
    ASSERT_THAT(backend, IsOk());
    EXPECT_LE((*backend)->cpu_level(), *ParseCpuLevel(level));
    EXPECT_STREQ((*backend)->level(), Name((*backend)->cpu_level()));
  }
}

TEST(CpuBackendTest, RefusesOptionsThatMakeNoSense) {
  EXPECT_THAT(CpuBackend::Create(Options(-1, "")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("threads is -1")));
  EXPECT_THAT(CpuBackend::Create(Options(1000000, "")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("threads is 1000000")));
  EXPECT_THAT(CpuBackend::Create(Options(1, "avx3")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"avx3\"")));
}

TEST(CpuBackendTest, HandsOutAlignedZeroedMemoryOfAnySize) {
  auto backend = CpuBackend::Create(Options(1, ""));
  ASSERT_THAT(backend, IsOk());
  for (size_t bytes : {size_t{1}, size_t{63}, size_t{4096}, (size_t{2} << 20) - 1, size_t{2} << 20,
                       (size_t{5} << 20) + 17}) {
    for (int again = 0; again < 2; ++again) {  // the second time it may be memory used before
      auto buffer = (*backend)->Allocate(bytes);
      ASSERT_THAT(buffer, IsOk());
      EXPECT_EQ(buffer->bytes(), bytes);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % 64, 0u);
      const std::vector<char> zeros(bytes, 0);
      EXPECT_EQ(std::memcmp(buffer->data(), zeros.data(), bytes), 0) << bytes;
      std::memset(buffer->data(), 0xff, bytes);
    }
  }
  auto nothing = (*backend)->Allocate(0);
  ASSERT_THAT(nothing, IsOk());
  EXPECT_EQ(nothing->bytes(), 0u);
}

TEST(CpuBackendTest, SaysHowManyBytesItDoesNotHave) {
  auto backend = CpuBackend::Create(Options(1, ""));
  ASSERT_THAT(backend, IsOk());
  EXPECT_THAT((*backend)->Allocate(size_t{1} << 50),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("1125899906842624 bytes")));
  EXPECT_THAT((*backend)->Allocate(SIZE_MAX), StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace facet
