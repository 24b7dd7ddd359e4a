// Tower kernels in plain C++, in double.

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/tower_kernels.h"

namespace facet::reference {
namespace {

using cpu::BandQuery;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

void Clamp(const float* x, float low, float high, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = std::min(std::max(x[i], low), high);
}

void Silu(float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] = static_cast<float>(x[i] * Sigmoid(x[i]));
}

void Gate(const float* x, const float* gate, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(x[i] * Sigmoid(gate[i]));
}

void AddProducts(const float* a, const float* x, int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(double{a[i]} * x[i] + y[i]);
}

void LayerNormRelu(const float* weight, int64_t n, float eps, float* x) {
  double mean = 0, square = 0;
  for (int64_t i = 0; i < n; ++i) mean += x[i];
  mean /= static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) square += (x[i] - mean) * (x[i] - mean);
  const double scale = 1 / std::sqrt(square / static_cast<double>(n) + eps);
  for (int64_t i = 0; i < n; ++i) {
    x[i] = static_cast<float>(std::max(0.0, (x[i] - mean) * scale * weight[i]));
  }
}

void AttendBand(const BandQuery& q) {
  std::vector<double> weights(static_cast<size_t>(q.count));
  double largest = -1e300, sum = 0;
  for (int u = 0; u < q.count; ++u) {
    const float* const key = q.keys + u * q.stride;
    const float* const distance = q.distances + u * q.distance_stride;
    double score = 0;
    for (int d = 0; d < q.dim; ++d) {
      score += double{q.query[d]} * (double{q.key_scale} * key[d] + distance[d]);
    }
    weights[u] = q.cap * std::tanh(score / q.cap);
    largest = std::max(largest, weights[u]);
  }
  for (double& w : weights) sum += w = std::exp(w - largest);
  for (int d = 0; d < q.dim; ++d) {
    double mixed = 0;
    for (int u = 0; u < q.count; ++u) mixed += weights[u] / sum * q.values[u * q.stride + d];
    q.out[d] = static_cast<float>(mixed);
  }
}

}  // namespace

extern const cpu::TowerKernels kTowerKernels;
const cpu::TowerKernels kTowerKernels = {Clamp, Silu, Gate, AddProducts, LayerNormRelu, AttendBand};

}  // namespace facet::reference
