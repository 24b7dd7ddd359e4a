// Row kernels in plain C++, in double.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/dtype.h"
#include "kernels/cpu/row_kernels.h"

namespace facet::reference {
namespace {

using cpu::Element;

void GeluMul(const float* gate, const float* up, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    const double u = gate[i];
    const double z = 0.7978845608028654 * (u + 0.044715 * u * u * u);
    out[i] = static_cast<float>(u / (1 + std::exp(-2 * z)) * up[i]);
  }
}

void AddScale(const float* a, const float* b, float scale, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = (a[i] + b[i]) * scale;
}

void Scale(float* x, float scale, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] *= scale;
}

void SoftCap(float* x, float cap, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    x[i] = static_cast<float>(cap * std::tanh(double{x[i]} / cap));
  }
}

void AddProduct(float a, const float* x, int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(double{a} * x[i] + y[i]);
}

double InverseRms(const float* x, int64_t n, float eps) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += double{x[i]} * x[i];
  return 1 / std::sqrt(sum / static_cast<double>(n) + eps);
}

void RmsNorm(const float* x, const float* weight, int64_t n, float eps, float* out) {
  const double inverse = InverseRms(x, n, eps);
  for (int64_t i = 0; i < n; ++i) {
    out[i] = static_cast<float>(x[i] * inverse * (weight ? weight[i] : 1.0f));
  }
}

void AddRmsNorm(const float* x, const float* weight, int64_t n, float eps, float scale,
                float* residual) {
  const double inverse = InverseRms(x, n, eps);
  for (int64_t i = 0; i < n; ++i) {
    const double normed = x[i] * inverse * (weight ? weight[i] : 1.0f);
    residual[i] = static_cast<float>((residual[i] + normed) * scale);
  }
}

void Rotate(float* x, const float* cos_sin, int64_t n) {
  const int64_t half = n / 2;
  for (int64_t i = 0; i < half; ++i) {
    const double a = x[i], b = x[half + i], cos = cos_sin[i], sin = cos_sin[half + i];
    x[i] = static_cast<float>(a * cos - b * sin);
    x[half + i] = static_cast<float>(b * cos + a * sin);
  }
}

void Widen(const uint8_t* x, Element element, float scale, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    if (element == Element::kF32) {
      float v;
      std::memcpy(&v, x + 4 * i, sizeof(v));
      out[i] = v * scale;
    } else {
      uint16_t v;
      std::memcpy(&v, x + 2 * i, sizeof(v));
      out[i] = (element == Element::kBf16 ? Bf16ToFloat(v) : F16ToFloat(v)) * scale;
    }
  }
}

void Narrow(const float* x, int64_t n, uint16_t* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = FloatToBf16(x[i]);
}

void Quantise(const float* x, Element element, int64_t n, uint8_t* out) {
  const float largest_code = element == Element::kInt8 ? 127.0f : 448.0f;
  float largest = 0, nothing = 0;
  for (int64_t i = 0; i < n; ++i) {
    largest = std::max(largest, std::abs(x[i]));
    nothing += x[i] - x[i];  // NaN where x is not finite
  }
  const float scale = largest / largest_code + nothing;
  std::memcpy(out + n, &scale, sizeof(scale));
  for (int64_t i = 0; i < n; ++i) {
    const float y = scale > 0 ? x[i] / scale : 0.0f;
    out[i] = element == Element::kInt8
                 ? static_cast<uint8_t>(std::lrint(std::clamp(y, -127.0f, 127.0f)))
                 : FloatToF8(y);
  }
}

}  // namespace

extern const cpu::RowKernels kRowKernels;
const cpu::RowKernels kRowKernels = {
    GeluMul,    AddScale, Scale, SoftCap, AddProduct, RmsNorm,
    AddRmsNorm, Rotate,   Widen, Narrow,  Quantise,
};

}  // namespace facet::reference
