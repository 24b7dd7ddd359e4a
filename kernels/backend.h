#ifndef FACET_KERNELS_BACKEND_H_
#define FACET_KERNELS_BACKEND_H_

// Where tensors live and ops run. Ops are free functions in kernels/ops/ that dispatch on
// `device()`; none is a member of Backend.

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "kernels/tensor.h"

namespace facet {

enum class Device { kCpu, kCuda };

class Backend;

// Owns device memory, 64-byte aligned, zeroed. Movable; the Backend must outlive it.
class Buffer {
 public:
  Buffer() = default;
  Buffer(void* data, size_t bytes, Backend* backend)
      : data_(data), bytes_(bytes), backend_(backend) {}
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

  // A dense [rows, cols] view of the front of this buffer. CHECK-fails if it does not fit.
  Tensor View(int64_t rows, int64_t cols, DType dtype = DType::kF32) const;

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
  Backend* backend_ = nullptr;
};

// Thread-compatible: one rank's step loop owns it.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual Device device() const = 0;

  // ResourceExhausted, with the number of bytes, if the device has too little.
  virtual absl::StatusOr<Buffer> Allocate(size_t bytes) = 0;

 protected:
  friend class Buffer;
  virtual void Free(void* data, size_t bytes) = 0;
};

}  // namespace facet

#endif  // FACET_KERNELS_BACKEND_H_
