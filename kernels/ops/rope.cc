#include "kernels/ops/rope.h"

#include <cmath>

#include "kernels/ops/check.h"

namespace facet::ops {

std::vector<float> RopeFrequencies(int head_dim, double theta, double rotary_fraction,
                                   double factor) {
  FACET_CHECK(head_dim >= 2 && head_dim % 2 == 0) << "head_dim " << head_dim;
  std::vector<float> frequencies(head_dim / 2, 0.0f);
  const int rotated = static_cast<int>(rotary_fraction * head_dim / 2);
  for (int i = 0; i < rotated && i < head_dim / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    frequencies[i] =
        1.0f / std::pow(static_cast<float>(theta), exponent) / static_cast<float>(factor);
  }
  return frequencies;
}

void RopeAngles(Backend& backend, absl::Span<const int32_t> positions,
                absl::Span<const float> frequencies, const Tensor& cos_sin) {
  AsCpu(backend);
  const auto half = static_cast<int64_t>(frequencies.size());
  CheckShape(cos_sin, static_cast<int64_t>(positions.size()), 2 * half, "RopeAngles cos_sin");
  for (size_t t = 0; t < positions.size(); ++t) {
    float* row = cos_sin.f32(t);
    for (int64_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(positions[t]) * frequencies[i];
      row[i] = std::cos(angle);
      row[half + i] = std::sin(angle);
    }
  }
}

void HeadNormRope(Backend& backend, const Tensor& x, int head_dim, const float* weight, float eps,
                  const Tensor& cos_sin) {
  AsCpu(backend);
  FACET_CHECK(head_dim >= 1 && x.cols % head_dim == 0) << x.cols << " / " << head_dim;
  if (cos_sin.data != nullptr) CheckShape(cos_sin, x.rows, head_dim, "HeadNormRope cos_sin");
  const int half = head_dim / 2;
  for (int64_t t = 0; t < x.rows; ++t) {
    for (int64_t h = 0; h < x.cols / head_dim; ++h) {
      float* v = x.f32(t) + h * head_dim;
      double sum = 0;
      for (int c = 0; c < head_dim; ++c) sum += double{v[c]} * v[c];
      const double scale = 1.0 / std::sqrt(sum / head_dim + eps);
      for (int c = 0; c < head_dim; ++c) {
        v[c] = static_cast<float>(v[c] * scale * (weight ? weight[c] : 1.0f));
      }
      if (cos_sin.data == nullptr) continue;
      const float* cs = cos_sin.f32(t);
      for (int i = 0; i < half; ++i) {
        const float a = v[i], b = v[i + half];
        v[i] = a * cs[i] - b * cs[half + i];
        v[i + half] = b * cs[i] + a * cs[half + i];
      }
    }
  }
}

}  // namespace facet::ops
