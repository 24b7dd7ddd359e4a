#ifndef FACET_SERVICES_ENCODER_CLIPPED_LINEAR_H_
#define FACET_SERVICES_ENCODER_CLIPPED_LINEAR_H_

#include <limits>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/tensor.h"
#include "kernels/weight_matrix.h"
#include "services/encoder/tower_tensors.h"

namespace facet {

// y = clamp(clamp(x, input_min, input_max) W^T, output_min, output_max), as the towers of E2B and
// E4B have it; without bounds, as in the larger models, a plain product. Immutable once loaded.
class ClippedLinear {
 public:
  // `name`.linear.weight [out, in], and with `clipped` the four bounds beside it.
  static absl::StatusOr<ClippedLinear> Load(const TowerTensors& tensors, absl::string_view name,
                                            int64_t out, int64_t in, bool clipped);

  // x: [rows, in]; `scratch` [rows, in] is written where bounds apply, and may be x itself if that
  // is not needed any more. y: [rows, out], apart from both.
  void Apply(Backend& backend, const Tensor& x, const Tensor& scratch, const Tensor& y) const;

  int64_t bytes() const { return weight_.bytes(); }

 private:
  WeightMatrix weight_;
  bool clipped_ = false;
  float input_min_ = 0, input_max_ = 0, output_min_ = 0, output_max_ = 0;
};

}  // namespace facet

#endif  // FACET_SERVICES_ENCODER_CLIPPED_LINEAR_H_
