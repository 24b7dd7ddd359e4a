#include "services/encoder/tower_tensors.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "shard/transformer/weight_blocks.h"
#include "shard/transformer/weights.h"

namespace facet {

const TensorInfo* TowerTensors::Find(absl::string_view name) const {
  const TensorInfo* const tensor = checkpoint_.Find(absl::StrCat(prefix_, name));
  if (tensor != nullptr) return tensor;
  return checkpoint_.Find(absl::StrCat(absl::StripPrefix(prefix_, "model."), name));
}

absl::StatusOr<const TensorInfo*> TowerTensors::Get(absl::string_view name,
                                                    int64_t elements) const {
  const TensorInfo* const tensor = Find(name);
  if (tensor == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("the checkpoint has no tensor ", prefix_, name));
  }
  const int64_t found = static_cast<int64_t>(tensor->bytes.size() / SizeOf(tensor->dtype));
  if (found != elements) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", prefix_, name, " has shape [",
                                                   absl::StrJoin(tensor->shape, ", "), "], not ",
                                                   elements, " elements"));
  }
  return tensor;
}

absl::StatusOr<WeightMatrix> TowerTensors::Matrix(absl::string_view name, int64_t out,
                                                  int64_t in) const {
  FACET_ASSIGN_OR_RETURN(const TensorInfo* tensor, Get(name, out * in));
  const WeightBlock block = {tensor->bytes.data(), tensor->dtype, out, in, in};
  return WeightMatrix::Pack(*backend_, {&block, 1}, FormatOf(mode_, tensor->dtype));
}

absl::StatusOr<std::vector<float>> TowerTensors::Floats(absl::string_view name,
                                                        int64_t size) const {
  FACET_ASSIGN_OR_RETURN(const TensorInfo* tensor, Get(name, size));
  return ReadFloats(*tensor);
}

absl::StatusOr<DeviceVector> TowerTensors::Vector(absl::string_view name, int64_t size) const {
  FACET_ASSIGN_OR_RETURN(const std::vector<float> values, Floats(name, size));
  return DeviceVector::Upload(*backend_, values);
}

absl::StatusOr<float> TowerTensors::Scalar(absl::string_view name) const {
  FACET_ASSIGN_OR_RETURN(const std::vector<float> values, Floats(name, 1));
  return values[0];
}

}  // namespace facet
