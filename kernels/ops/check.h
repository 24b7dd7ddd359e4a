#ifndef FACET_KERNELS_OPS_CHECK_H_
#define FACET_KERNELS_OPS_CHECK_H_

// Shape checks that all ops share. A wrong shape is a bug of the caller, so it ends the process.

#include "base/log.h"
#include "kernels/backend.h"
#include "kernels/cpu/cpu_backend.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/tensor.h"

namespace facet::ops {

inline void CheckShape(const Tensor& x, int64_t rows, int64_t cols, const char* name) {
  FACET_CHECK(x.dtype == DType::kF32) << name << " is " << Name(x.dtype);
  FACET_CHECK(x.rows == rows && x.cols == cols)
      << name << " is [" << x.rows << ", " << x.cols << "], want [" << rows << ", " << cols << "]";
  FACET_CHECK(x.row_stride >= x.cols) << name << " has stride " << x.row_stride;
  FACET_CHECK(x.data != nullptr || rows * cols == 0) << name << " is null";
}

inline CpuBackend& AsCpu(Backend& backend) {
  FACET_CHECK(backend.device() == Device::kCpu) << "no kernels for this device";
  return static_cast<CpuBackend&>(backend);
}

inline const cpu::Kernels& KernelsOf(CpuBackend& backend) {
  return cpu::KernelsFor(backend.cpu_level());
}

}  // namespace facet::ops

#endif  // FACET_KERNELS_OPS_CHECK_H_
