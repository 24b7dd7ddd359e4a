#include "shard/transformer/device_vector.h"

#include <algorithm>

#include "base/log.h"
#include "base/status_macros.h"

namespace facet {

absl::StatusOr<DeviceVector> DeviceVector::Upload(Backend& backend,
                                                  absl::Span<const float> values) {
  // The one place that writes device memory from the host outside of kernels/.
  FACET_CHECK(backend.device() == Device::kCpu) << "no upload to this device";
  DeviceVector out;
  FACET_ASSIGN_OR_RETURN(out.buffer_, backend.Allocate(values.size() * sizeof(float)));
  std::copy(values.begin(), values.end(), static_cast<float*>(out.buffer_.data()));
  return out;
}

}  // namespace facet
