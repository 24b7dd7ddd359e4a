#ifndef FACET_KERNELS_CPU_CPU_BACKEND_H_
#define FACET_KERNELS_CPU_CPU_BACKEND_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/backend.h"

namespace facet {

class ThreadPool;

struct CpuOptions {
  int threads = 0;  // compute threads, the caller's own included; 0: one a core
  std::string
      max_level;  // "", or "reference" | "avx2" | "avx512" | "avx512bf16": highest level used
};

// Host memory and a pool of threads. The level of the kernels ("avx2", ...) is chosen from what the
// CPU offers. Thread-compatible.
class CpuBackend final : public Backend {
 public:
  // InvalidArgument on a negative or absurd number of threads, or an unknown level.
  static absl::StatusOr<std::unique_ptr<CpuBackend>> Create(const CpuOptions& options);
  ~CpuBackend() override;

  Device device() const override { return Device::kCpu; }
  absl::StatusOr<Buffer> Allocate(size_t bytes) override;

  ThreadPool& pool() { return *pool_; }
  const char* level() const { return level_; }  // for the start-up log

 private:
  CpuBackend();
  void Free(void* data, size_t bytes) override;

  std::unique_ptr<ThreadPool> pool_;
  const char* level_ = "reference";
};

}  // namespace facet

#endif  // FACET_KERNELS_CPU_CPU_BACKEND_H_
