#ifndef FACET_KERNELS_CPU_SCRATCH_H_
#define FACET_KERNELS_CPU_SCRATCH_H_

// Memory that ops reuse from call to call, so that a step allocates nothing once it has seen its
// largest batch.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/log.h"

namespace facet {

// A 64-byte aligned block that only grows. Growing loses the content.
class ScratchBlock {
 public:
  void* Get(size_t bytes) {
    if (bytes > bytes_) {
      data_.reset();
      bytes_ = (bytes + bytes / 4 + 63) / 64 * 64;
      data_.reset(std::aligned_alloc(64, bytes_));
      FACET_CHECK(data_ != nullptr) << "no memory for " << bytes_ << " bytes of scratch";
    }
    return data_.get();
  }

 private:
  struct Free {
    void operator()(void* data) const { std::free(data); }
  };
  std::unique_ptr<void, Free> data_;
  size_t bytes_ = 0;
};

// Blocks by use. One op runs at a time, but it may use several, and MoeExperts uses MatMul's.
// Thread-compatible.
class Scratch {
 public:
  enum Use {
    kMatMulTiles,
    kMatMulPlans,
    kRows,
    kMoeSlots,
    kMoeJobs,
    kMoeHidden,
    kMoeOutput,
    kAttentionBlocks,
    kAttentionState,
    kAttentionPartials,
    kAttentionThreads,
    kNumUses,
  };

  template <typename T>
  T* Get(Use use, int64_t count) {
    return static_cast<T*>(blocks_[use].Get(static_cast<size_t>(count) * sizeof(T)));
  }

 private:
  std::array<ScratchBlock, kNumUses> blocks_;
};

}  // namespace facet

#endif  // FACET_KERNELS_CPU_SCRATCH_H_
