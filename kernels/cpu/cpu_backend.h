#ifndef FACET_KERNELS_CPU_CPU_BACKEND_H_
#define FACET_KERNELS_CPU_CPU_BACKEND_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "kernels/cpu/cpu_level.h"

namespace facet {

class Scratch;
class ThreadPool;

struct CpuOptions {
  // Compute threads, the caller's own included; 0: one a core.
  int threads = 0;
  // Highest level used: "reference", "avx2", "avx512" or "avx512bf16"; "": no limit.
  std::string max_level;
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
  Scratch& scratch() { return *scratch_; }
  CpuLevel cpu_level() const { return level_; }
  const char* level() const { return Name(level_); }  // for the start-up log

 private:
  CpuBackend();
  void Free(void* data, size_t bytes) override;

  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Scratch> scratch_;
  CpuLevel level_ = CpuLevel::kReference;
};

}  // namespace facet

#endif  // FACET_KERNELS_CPU_CPU_BACKEND_H_
