#include "kernels/backend.h"

#include <cstdint>
#include <memory>
#include <utility>

#include "gtest/gtest.h"

namespace facet {
namespace {

// Counts what it hands out and gets back.
class FakeBackend final : public Backend {
 public:
  Device device() const override { return Device::kCpu; }
  absl::StatusOr<Buffer> Allocate(size_t bytes) override {
    ++live;
    return Buffer(memory, bytes, this);
  }
  int live = 0;
  size_t freed_bytes = 0;
  alignas(64) char memory[256] = {};

 private:
  void Free(void* data, size_t bytes) override {
    EXPECT_EQ(data, memory);
    --live;
    freed_bytes = bytes;
  }
};

TEST(BufferTest, GivesItsMemoryBackOnce) {
  FakeBackend backend;
  {
    Buffer a = *backend.Allocate(100);
    Buffer b = std::move(a);
    EXPECT_EQ(a.data(), nullptr);
    EXPECT_EQ(b.bytes(), 100u);
    Buffer c;
    c = std::move(b);
    EXPECT_EQ(c.data(), backend.memory);
    EXPECT_EQ(backend.live, 1);
  }
  EXPECT_EQ(backend.live, 0);
  EXPECT_EQ(backend.freed_bytes, 100u);
}

TEST(BufferTest, GivesBackWhatAnAssignmentReplaces) {
  FakeBackend first, second;
  Buffer a = *first.Allocate(10);
  {
    Buffer b = *second.Allocate(20);
    a = std::move(b);
  }
  EXPECT_EQ(first.live, 0);
  EXPECT_EQ(second.live, 1);
  EXPECT_EQ(a.bytes(), 20u);
}

TEST(BufferTest, ViewsItsFrontAsAMatrix) {
  FakeBackend backend;
  const Buffer buffer = *backend.Allocate(100);
  const Tensor view = buffer.View(5, 5);
  EXPECT_EQ(view.data, backend.memory);
  EXPECT_EQ(view.rows, 5);
  EXPECT_EQ(view.cols, 5);
  EXPECT_EQ(view.row_stride, 5);
  EXPECT_EQ(buffer.View(5, 10, DType::kBF16).dtype, DType::kBF16);
}

TEST(BufferDeathTest, RefusesAViewThatIsTooLarge) {
  FakeBackend backend;
  const Buffer buffer = *backend.Allocate(100);
  EXPECT_DEATH(buffer.View(26, 1), "26 x 1 f32 in a buffer of 100 bytes");
  EXPECT_DEATH(buffer.View(int64_t{1} << 62, int64_t{1} << 62), "in a buffer of 100 bytes");
  EXPECT_DEATH(buffer.View(-1, 1), "-1 x 1");
}

}  // namespace
}  // namespace facet
