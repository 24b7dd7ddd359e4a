#include "kernels/ops/rope.h"

#include <cmath>

#include "kernels/cpu/parallel_rows.h"
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
  const auto half = static_cast<int64_t>(frequencies.size());
  CheckShape(cos_sin, static_cast<int64_t>(positions.size()), 2 * half, "RopeAngles cos_sin");
  CpuBackend& cpu = AsCpu(backend);
  constexpr int64_t kValuesPerAngle = 16;  // a sine and a cosine take as long as so many values
  cpu::ParallelRows(cpu.pool(), cos_sin.rows, half * kValuesPerAngle, [&](int64_t t) {
    float* row = cos_sin.f32(t);
    const auto position = static_cast<float>(positions[static_cast<size_t>(t)]);
    for (int64_t i = 0; i < half; ++i) {
      const float angle = position * frequencies[static_cast<size_t>(i)];
      row[i] = std::cos(angle);
      row[half + i] = std::sin(angle);
    }
  });
}

void HeadNormRope(Backend& backend, const Tensor& x, int head_dim, const float* weight, float eps,
                  const Tensor& cos_sin) {
  CheckShape(x, x.rows, x.cols, "HeadNormRope x");
  FACET_CHECK(head_dim >= 1 && x.cols % head_dim == 0)
      << x.cols << " columns, heads of " << head_dim;
  const bool rotate = cos_sin.data != nullptr;
  if (rotate) {
    CheckShape(cos_sin, x.rows, head_dim, "HeadNormRope cos_sin");
    FACET_CHECK(head_dim % 2 == 0) << "rotation of an odd head_dim " << head_dim;
  }
  CpuBackend& cpu = AsCpu(backend);
  const cpu::RowKernels& kernels = *KernelsOf(cpu).rows;
  cpu::ParallelRows(cpu.pool(), x.rows, x.cols, [&](int64_t t) {
    float* row = x.f32(t);
    for (int64_t c = 0; c < x.cols; c += head_dim) {
      kernels.rms_norm(row + c, weight, head_dim, eps, row + c);
      if (rotate) kernels.rotate(row + c, cos_sin.f32(t), head_dim);
    }
  });
}

}  // namespace facet::ops
