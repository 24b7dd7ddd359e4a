#ifndef FACET_KERNELS_CPU_TOWER_KERNELS_H_
#define FACET_KERNELS_CPU_TOWER_KERNELS_H_

// Kernels that the towers need beside those of the text model, over one row of `n` values, once per
// CPU level; kernels/ops/clamp.h, gates.h and banded_attention.h have the formulas. No header with
// inline functions may be included here (see simd.h).

#include <stdint.h>

namespace facet::cpu {

constexpr int kMaxBandKeys = 2048;

// One head of one frame with the keys it sees: `count` rows that lie `stride` floats apart, the
// earliest first, and a key for the distance of each, `distance_stride` apart.
struct BandQuery {
  const float* query;  // [dim], scaled
  const float* keys;
  const float* values;
  int64_t stride;
  const float* distances;
  int64_t distance_stride;
  int count;  // 1 to kMaxBandKeys
  int dim;
  float key_scale;
  float cap;
  float* out;  // [dim]
};

struct TowerKernels {
  // `out` may be `x`.
  void (*clamp)(const float* x, float low, float high, int64_t n, float* out);
  void (*silu)(float* x, int64_t n);
  // out = x * sigmoid(gate)
  void (*gate)(const float* x, const float* gate, int64_t n, float* out);
  // y += a * x, value by value
  void (*add_products)(const float* a, const float* x, int64_t n, float* y);
  void (*layer_norm_relu)(const float* weight, int64_t n, float eps, float* x);
  void (*attend_band)(const BandQuery& q);
};

}  // namespace facet::cpu

#endif  // FACET_KERNELS_CPU_TOWER_KERNELS_H_
