#include "shard/kv_tensors/kv_cache_tensors.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/cpu/cpu_backend.h"
#include "shard/slicing/testing/released_configs.h"

namespace facet {
namespace {

using ::facet::testing::Dense12bConfig;
using ::facet::testing::Dense31bConfig;
using ::facet::testing::E2bConfig;
using ::facet::testing::E4bConfig;
using ::facet::testing::IsOk;
using ::facet::testing::Moe26bConfig;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;

constexpr int64_t kKiB = 1024;

SlicePlan Slice(const ModelConfig& config, int world_size, int rank = 0) {
  return *MakeSlicePlan(config, {world_size, rank, false});
}

std::unique_ptr<CpuBackend> MakeBackend() {
  CpuOptions options;
  options.threads = 1;
  return *CpuBackend::Create(options);
}

struct BytesCase {
  std::string name;
  ModelConfig (*config)();
  int world_size;
  int64_t sliding_kib_per_token;
  int64_t global_kib_per_token;
};
class KvBytesTest : public ::testing::TestWithParam<BytesCase> {};

TEST_P(KvBytesTest, PerTokenAndRankInBf16) {
  const BytesCase& c = GetParam();
  const ModelConfig config = c.config();
  for (int rank = 0; rank < c.world_size; ++rank) {
    const SlicePlan slice = Slice(config, c.world_size, rank);
    EXPECT_EQ(KvBytesPerPage(config, slice, AttentionKind::kSliding, 16, DType::kBF16),
              16 * c.sliding_kib_per_token * kKiB);
    EXPECT_EQ(KvBytesPerPage(config, slice, AttentionKind::kGlobal, 16, DType::kBF16),
              16 * c.global_kib_per_token * kKiB);
    EXPECT_EQ(KvBytesPerPage(config, slice, AttentionKind::kGlobal, 16, DType::kF32),
              2 * 16 * c.global_kib_per_token * kKiB);
  }
}

// Elements are all that a page is for: what it takes beyond them is waste. Heads of 256 in sliding
// and of 512 in global layers lie in pools of their own, so that neither pads the other.
TEST_P(KvBytesTest, LessThanFivePercentAreNotElements) {
  const BytesCase& c = GetParam();
  const ModelConfig config = c.config();
  const SlicePlan slice = Slice(config, c.world_size);
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kInt8, DType::kF8E4M3}) {
    for (AttentionKind kind : {AttentionKind::kGlobal, AttentionKind::kSliding}) {
      const int64_t bytes = KvBytesPerPage(config, slice, kind, 16, dtype);
      const int64_t elements = KvBytesPerPage(config, slice, kind, 16, DType::kF32) / 4;
      const auto payload = elements * static_cast<int64_t>(SizeOf(dtype));
      EXPECT_GE(bytes, payload) << Name(dtype);
      EXPECT_LE(static_cast<double>(bytes - payload), 0.02 * bytes) << Name(dtype);
      EXPECT_EQ(bytes == payload, !IsScaled(dtype)) << Name(dtype);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Released, KvBytesTest,
                         ::testing::ValuesIn(std::vector<BytesCase>{
                             {"e2b_tp1", E2bConfig, 1, 12, 6},
                             {"e2b_tp8", E2bConfig, 8, 12, 6},
                             {"e4b_tp1", E4bConfig, 1, 40, 16},
                             {"e4b_tp2", E4bConfig, 2, 20, 8},
                             {"e4b_tp4", E4bConfig, 4, 20, 8},
                             {"dense12b_tp1", Dense12bConfig, 1, 320, 16},
                             {"dense12b_tp2", Dense12bConfig, 2, 160, 16},
                             {"dense12b_tp8", Dense12bConfig, 8, 40, 16},
                             {"moe26b_tp1", Moe26bConfig, 1, 200, 20},
                             {"moe26b_tp2", Moe26bConfig, 2, 100, 10},
                             {"moe26b_tp4", Moe26bConfig, 4, 50, 10},
                             {"moe26b_tp8", Moe26bConfig, 8, 25, 10},
                             {"dense31b_tp1", Dense31bConfig, 1, 800, 80},
                             {"dense31b_tp4", Dense31bConfig, 4, 200, 20},
                             {"dense31b_tp8", Dense31bConfig, 8, 100, 20},
                         }),
                         [](const auto& info) { return info.param.name; });

TEST(KvCacheTensorsTest, SharedLayersReadThePagesOfTheirSource) {
  auto backend = MakeBackend();
  const ModelConfig config = E2bConfig();
  KvTensorOptions options;
  options.global_pages = 3;
  options.sliding_pages = 2;
  auto cache = KvCacheTensors::Create(config, Slice(config, 1), options, *backend);
  ASSERT_THAT(cache, IsOk());
  std::set<void*> distinct;
  for (int i = 0; i < config.num_layers; ++i) {
    const KvPages& pages = cache->layer(i);
    EXPECT_EQ(pages.k, cache->layer(config.layers[i].kv_source).k) << i;
    EXPECT_EQ(pages.v, cache->layer(config.layers[i].kv_source).v) << i;
    EXPECT_NE(pages.k, pages.v) << i;
    EXPECT_EQ(pages.num_pages, config.layers[i].kind == AttentionKind::kGlobal ? 3 : 2) << i;
    EXPECT_EQ(pages.head_dim, config.layers[i].head_dim) << i;
    distinct.insert(pages.k);
  }
  EXPECT_EQ(static_cast<int>(distinct.size()), config.num_owning_layers);
  EXPECT_EQ(cache->layer(15).k, cache->layer(13).k);
  EXPECT_EQ(cache->layer(34).v, cache->layer(14).v);
}

// Counts what is really asked of it.
class CountingBackend : public Backend {
 public:
  Device device() const override { return Device::kCpu; }
  absl::StatusOr<Buffer> Allocate(size_t bytes) override {
    allocated += static_cast<int64_t>(bytes);
    return Buffer(std::calloc(1, bytes), bytes, this);
  }
  int64_t allocated = 0;

 private:
  void Free(void* data, size_t) override { std::free(data); }
};

TEST(KvCacheTensorsTest, AllocatesExactlyThePagesTimesTheBytesThatAreReported) {
  const ModelConfig config = Moe26bConfig();
  const SlicePlan slice = Slice(config, 4, 2);
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kInt8, DType::kF8E4M3}) {
    CountingBackend backend;
    KvTensorOptions options;
    options.page_tokens = 8;
    options.dtype = dtype;
    options.global_pages = 5;
    options.sliding_pages = 7;
    auto cache = KvCacheTensors::Create(config, slice, options, backend);
    ASSERT_THAT(cache, IsOk());
    EXPECT_EQ(backend.allocated,
              5 * KvBytesPerPage(config, slice, AttentionKind::kGlobal, 8, dtype) +
                  7 * KvBytesPerPage(config, slice, AttentionKind::kSliding, 8, dtype))
        << Name(dtype);
    EXPECT_EQ(cache->bytes(), backend.allocated);
    EXPECT_EQ(cache->layer(0).kv_heads, 2);
    EXPECT_EQ(cache->layer(5).kv_heads, 1);
  }
}

TEST(KvCacheTensorsTest, ACopyReachesEveryOwningLayerOfTheKindAndNoOther) {
  auto backend = MakeBackend();
  const ModelConfig config = E2bConfig();
  KvTensorOptions options;
  options.dtype = DType::kInt8;
  options.global_pages = 3;
  options.sliding_pages = 3;
  auto cache = KvCacheTensors::Create(config, Slice(config, 1), options, *backend);
  ASSERT_THAT(cache, IsOk());
  const auto page = [&](int layer, void* data, int id) {
    return static_cast<uint8_t*>(data) + id * cache->layer(layer).page_bytes();
  };
  for (int i = 0; i < config.num_owning_layers; ++i) {
    const KvPages& pages = cache->layer(i);
    std::memset(page(i, pages.k, 2), 2 * i + 1, pages.page_bytes());
    std::memset(page(i, pages.v, 2), 2 * i + 2, pages.page_bytes());
  }
  cache->CopyPage(AttentionKind::kGlobal, 2, 0);
  for (int i = 0; i < config.num_owning_layers; ++i) {
    const KvPages& pages = cache->layer(i);
    const bool copied = config.layers[i].kind == AttentionKind::kGlobal;
    const int64_t last = pages.page_bytes() - 1;
    for (const int64_t at : {int64_t{0}, last}) {
      EXPECT_EQ(page(i, pages.k, 0)[at], copied ? 2 * i + 1 : 0) << i;
      EXPECT_EQ(page(i, pages.v, 0)[at], copied ? 2 * i + 2 : 0) << i;
      EXPECT_EQ(page(i, pages.k, 1)[at], 0) << i;
      EXPECT_EQ(page(i, pages.k, 2)[at], 2 * i + 1) << i;
    }
  }
}

struct RefusalCase {
  std::string name;
  KvTensorOptions options;
  std::string in_message;
};
class KvCacheTensorsRefusalTest : public ::testing::TestWithParam<RefusalCase> {};

TEST_P(KvCacheTensorsRefusalTest, NamesTheNumber) {
  auto backend = MakeBackend();
  const ModelConfig config = E2bConfig();
  EXPECT_THAT(KvCacheTensors::Create(config, Slice(config, 1), GetParam().options, *backend),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().in_message)));
}

INSTANTIATE_TEST_SUITE_P(Options, KvCacheTensorsRefusalTest,
                         ::testing::ValuesIn(std::vector<RefusalCase>{
                             {"no_tokens", {0, DType::kF32, 1, 1}, "0 tokens"},
                             {"no_global_pages", {16, DType::kF32, 0, 1}, "full_attention"},
                             {"no_sliding_pages", {16, DType::kF32, 1, 0}, "sliding_attention"},
                             {"negative", {16, DType::kF32, -4, 1}, "-4 pages"},
                             {"dtype", {16, DType::kF16, 1, 1}, "f16"},
                         }),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace facet
