#include "services/encoder/clipped_linear.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/ops/clamp.h"
#include "kernels/ops/matmul.h"

namespace facet {

absl::StatusOr<ClippedLinear> ClippedLinear::Load(const TowerTensors& tensors,
                                                  absl::string_view name, int64_t out, int64_t in,
                                                  bool clipped) {
  ClippedLinear linear;
  FACET_ASSIGN_OR_RETURN(linear.weight_,
                         tensors.Matrix(absl::StrCat(name, ".linear.weight"), out, in));
  linear.clipped_ = clipped;
  if (!clipped) return linear;
  FACET_ASSIGN_OR_RETURN(linear.input_min_, tensors.Scalar(absl::StrCat(name, ".input_min")));
  FACET_ASSIGN_OR_RETURN(linear.input_max_, tensors.Scalar(absl::StrCat(name, ".input_max")));
  FACET_ASSIGN_OR_RETURN(linear.output_min_, tensors.Scalar(absl::StrCat(name, ".output_min")));
  FACET_ASSIGN_OR_RETURN(linear.output_max_, tensors.Scalar(absl::StrCat(name, ".output_max")));
  if (!(linear.input_min_ <= linear.input_max_ && linear.output_min_ <= linear.output_max_)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the bounds of ", name, " are out of order: input ", linear.input_min_, " to ",
        linear.input_max_, ", output ", linear.output_min_, " to ", linear.output_max_));
  }
  return linear;
}

void ClippedLinear::Apply(Backend& backend, const Tensor& x, const Tensor& scratch,
                          const Tensor& y) const {
  if (!clipped_) return ops::MatMul(backend, x, weight_, y);
  ops::Clamp(backend, x, input_min_, input_max_, scratch);
  ops::MatMul(backend, scratch, weight_, y);
  ops::Clamp(backend, y, output_min_, output_max_, y);
}

}  // namespace facet
