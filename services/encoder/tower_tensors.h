#ifndef FACET_SERVICES_ENCODER_TOWER_TENSORS_H_
#define FACET_SERVICES_ENCODER_TOWER_TENSORS_H_

// Reading the tensors of an encoder's tower from a checkpoint into the memory of a backend.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/backend.h"
#include "kernels/weight_matrix.h"
#include "model/checkpoint.h"
#include "shard/transformer/device_vector.h"
#include "shard/transformer/rank_options.h"

namespace facet {

// Names are relative to `prefix` ("model.vision_tower."); where the checkpoint has no tensor with
// it, the same without "model." is tried. Errors: InvalidArgument names a tensor that is missing or
// of another shape; ResourceExhausted without memory. The checkpoint and the backend must outlive
// it, and the backend what it returns. Thread-compatible.
class TowerTensors {
 public:
  TowerTensors(const Checkpoint& checkpoint, absl::string_view prefix, ComputeMode mode,
               Backend* backend)
      : checkpoint_(checkpoint), prefix_(prefix), mode_(mode), backend_(backend) {}

  // A weight [out, in], in the format of the compute mode.
  absl::StatusOr<WeightMatrix> Matrix(absl::string_view name, int64_t out, int64_t in) const;
  // A vector on the device, or in host memory. Any shape of that many elements.
  absl::StatusOr<DeviceVector> Vector(absl::string_view name, int64_t size) const;
  absl::StatusOr<std::vector<float>> Floats(absl::string_view name, int64_t size) const;
  absl::StatusOr<float> Scalar(absl::string_view name) const;
  bool Has(absl::string_view name) const { return Find(name) != nullptr; }

  Backend& backend() const { return *backend_; }

 private:
  const TensorInfo* Find(absl::string_view name) const;
  absl::StatusOr<const TensorInfo*> Get(absl::string_view name, int64_t elements) const;

  const Checkpoint& checkpoint_;
  const std::string prefix_;
  const ComputeMode mode_;
  Backend* const backend_;
};

}  // namespace facet

#endif  // FACET_SERVICES_ENCODER_TOWER_TENSORS_H_
