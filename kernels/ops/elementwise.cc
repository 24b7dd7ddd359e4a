#include "kernels/ops/elementwise.h"

#include <algorithm>
#include <cmath>

#include "kernels/ops/check.h"

namespace facet::ops {
namespace {

// gelu(u) = 0.5 u (1 + tanh(z)) = u / (1 + exp(-2 z)): no cancellation for negative u.
float Gelu(float u) {
  const double z = 0.7978845608028654 * (double{u} + 0.044715 * double{u} * u * u);
  return static_cast<float>(u / (1.0 + std::exp(-2.0 * z)));
}

}  // namespace

void GeluMul(Backend& backend, const Tensor& gate, const Tensor& up, const Tensor& out) {
  AsCpu(backend);
  CheckShape(up, gate.rows, gate.cols, "GeluMul up");
  CheckShape(out, gate.rows, gate.cols, "GeluMul out");
  for (int64_t t = 0; t < gate.rows; ++t) {
    const float *g = gate.f32(t), *u = up.f32(t);
    float* o = out.f32(t);
    for (int64_t c = 0; c < gate.cols; ++c) o[c] = Gelu(g[c]) * u[c];
  }
}

void AddScale(Backend& backend, const Tensor& a, const Tensor& b, float scale, const Tensor& out) {
  AsCpu(backend);
  CheckShape(b, a.rows, a.cols, "AddScale b");
  CheckShape(out, a.rows, a.cols, "AddScale out");
  for (int64_t t = 0; t < a.rows; ++t) {
    const float *p = a.f32(t), *q = b.f32(t);
    float* o = out.f32(t);
    for (int64_t c = 0; c < a.cols; ++c) o[c] = (p[c] + q[c]) * scale;
  }
}

void Scale(Backend& backend, const Tensor& x, float scale) {
  AsCpu(backend);
  for (int64_t t = 0; t < x.rows; ++t) {
    float* p = x.f32(t);
    for (int64_t c = 0; c < x.cols; ++c) p[c] *= scale;
  }
}

void Copy(Backend& backend, const Tensor& x, const Tensor& out) {
  AsCpu(backend);
  CheckShape(out, x.rows, x.cols, "Copy out");
  for (int64_t t = 0; t < x.rows; ++t) std::copy(x.f32(t), x.f32(t) + x.cols, out.f32(t));
}

void SoftCap(Backend& backend, const Tensor& x, float cap) {
  AsCpu(backend);
  FACET_CHECK(cap > 0) << cap;
  for (int64_t t = 0; t < x.rows; ++t) {
    float* p = x.f32(t);
    for (int64_t c = 0; c < x.cols; ++c) p[c] = cap * std::tanh(p[c] / cap);
  }
}

}  // namespace facet::ops
