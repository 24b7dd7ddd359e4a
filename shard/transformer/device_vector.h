#ifndef FACET_SHARD_TRANSFORMER_DEVICE_VECTOR_H_
#define FACET_SHARD_TRANSFORMER_DEVICE_VECTOR_H_

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/backend.h"

namespace facet {

// float32 values on the device, such as the weights of a norm. Movable; the backend must outlive
// it.
class DeviceVector {
 public:
  DeviceVector() = default;

  // ResourceExhausted without memory.
  static absl::StatusOr<DeviceVector> Upload(Backend& backend, absl::Span<const float> values);

  const float* data() const { return static_cast<const float*>(buffer_.data()); }
  int64_t bytes() const { return static_cast<int64_t>(buffer_.bytes()); }

 private:
  Buffer buffer_;
};

}  // namespace facet

#endif  // FACET_SHARD_TRANSFORMER_DEVICE_VECTOR_H_
