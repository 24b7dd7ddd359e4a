#include "kernels/ops/rms_norm.h"

#include <cmath>

#include "kernels/ops/check.h"

namespace facet::ops {
namespace {

double InverseRms(const float* x, int64_t cols, float eps) {
  double sum = 0;
  for (int64_t c = 0; c < cols; ++c) sum += double{x[c]} * x[c];
  return 1.0 / std::sqrt(sum / static_cast<double>(cols) + eps);
}

}  // namespace

void RmsNorm(Backend& backend, const Tensor& x, const float* weight, float eps, const Tensor& out) {
  AsCpu(backend);
  CheckShape(out, x.rows, x.cols, "RmsNorm out");
  for (int64_t t = 0; t < x.rows; ++t) {
    const float* in = x.f32(t);
    float* o = out.f32(t);
    const double scale = InverseRms(in, x.cols, eps);
    for (int64_t c = 0; c < x.cols; ++c) {
      o[c] = static_cast<float>(in[c] * scale * (weight ? weight[c] : 1.0f));
    }
  }
}

void AddRmsNorm(Backend& backend, const Tensor& x, const float* weight, float eps, float scale,
                const Tensor& residual) {
  AsCpu(backend);
  CheckShape(residual, x.rows, x.cols, "AddRmsNorm residual");
  for (int64_t t = 0; t < x.rows; ++t) {
    const float* in = x.f32(t);
    float* r = residual.f32(t);
    const double inverse = InverseRms(in, x.cols, eps);
    for (int64_t c = 0; c < x.cols; ++c) {
      r[c] = (r[c] + static_cast<float>(in[c] * inverse * (weight ? weight[c] : 1.0f))) * scale;
    }
  }
}

}  // namespace facet::ops
