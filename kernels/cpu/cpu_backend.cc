#include "kernels/cpu/cpu_backend.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/cpu/host_memory.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/thread_pool.h"

namespace facet {
namespace {

constexpr int kMaxThreads = 1024;
constexpr size_t kAlignment = 64;
constexpr size_t kPage = 4096;
constexpr size_t kHugePage = size_t{2} << 20;
// The system grants more memory than it has and kills whoever uses it, so large requests are
// compared with what there is.
constexpr size_t kCheckedBytes = size_t{64} << 20;

size_t RoundUp(size_t x, size_t unit) { return (x + unit - 1) / unit * unit; }

// Memory of kHugePage or more comes straight from the system, aligned so that huge pages can back
// it: reading weights through 4 KiB pages costs bandwidth.
bool IsMapped(size_t bytes) { return bytes >= kHugePage; }

void* AllocateSmall(size_t bytes) {
  const size_t length = RoundUp(bytes, kAlignment);
  void* data = std::aligned_alloc(kAlignment, length);
  if (data != nullptr) std::memset(data, 0, length);
  return data;
}

void* Map(size_t bytes) {
  if (bytes > SIZE_MAX - 2 * kHugePage) return nullptr;
  const size_t length = RoundUp(bytes, kPage);
  void* raw =
      mmap(nullptr, length + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return nullptr;
  const auto begin = reinterpret_cast<uintptr_t>(raw);
  const uintptr_t aligned = RoundUp(begin, kHugePage);
  if (aligned > begin) munmap(raw, aligned - begin);
  const size_t tail = begin + length + kHugePage - (aligned + length);
  if (tail > 0) munmap(reinterpret_cast<void*>(aligned + length), tail);
  void* data = reinterpret_cast<void*>(aligned);
  madvise(data, length, MADV_HUGEPAGE);  // a hint: without it the memory works as well
  return data;
}

}  // namespace

CpuBackend::CpuBackend() = default;
CpuBackend::~CpuBackend() = default;

absl::StatusOr<std::unique_ptr<CpuBackend>> CpuBackend::Create(const CpuOptions& options) {
  if (options.threads < 0 || options.threads > kMaxThreads) {
    return absl::InvalidArgumentError(
        absl::StrCat("threads is ", options.threads, ", must be in [0, ", kMaxThreads, "]"));
  }
  const std::vector<CpuLevel> levels = SupportedCpuLevels();
  CpuLevel level = levels.back();
  if (!options.max_level.empty()) {
    const std::optional<CpuLevel> max = ParseCpuLevel(options.max_level);
    if (!max.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown CPU level \"", options.max_level,
                       "\": use reference, avx2, avx512 or avx512bf16"));
    }
    level = std::min(level, *max);
  }
  std::unique_ptr<CpuBackend> backend(new CpuBackend);
  backend->pool_ =
      std::make_unique<ThreadPool>(options.threads > 0 ? options.threads : AvailableCores());
  backend->scratch_ = std::make_unique<Scratch>();
  backend->level_ = level;
  return backend;
}

absl::StatusOr<Buffer> CpuBackend::Allocate(size_t bytes) {
  if (bytes == 0) return Buffer();
  if (bytes >= kCheckedBytes) {
    const std::optional<int64_t> available = AvailableHostMemory();
    if (available.has_value() && bytes > static_cast<uint64_t>(*available)) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no memory for ", bytes, " bytes: ", *available, " bytes are available"));
    }
  }
  void* data = IsMapped(bytes) ? Map(bytes) : AllocateSmall(bytes);
  if (data == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("no memory for ", bytes, " bytes"));
  }
  return Buffer(data, bytes, this);
}

void CpuBackend::Free(void* data, size_t bytes) {
  if (IsMapped(bytes)) {
    munmap(data, RoundUp(bytes, kPage));
  } else {
    std::free(data);
  }
}

}  // namespace facet
