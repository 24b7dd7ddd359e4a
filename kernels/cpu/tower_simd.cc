// Tower kernels of one level.

#include "kernels/cpu/simd.h"
#include "kernels/cpu/tower_kernels.h"
#include "kernels/cpu/vector_loop.h"

namespace facet::SIMD_NS {
namespace {

using cpu::BandQuery;
using cpu::kMaxBandKeys;

alignas(64) constexpr float kLaneNumbers[kLanes] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                    8, 9, 10, 11, 12, 13, 14, 15};

// x in the first `lanes`, `rest` in the others.
FACET_INLINE F32 FirstLanes(F32 x, int lanes, F32 rest) {
  return SelectLess(Load(kLaneNumbers), Set(static_cast<float>(lanes)), x, rest);
}

// x / (1 + e^-g)
FACET_INLINE F32 Gated(F32 x, F32 g) { return Div(x, Add(Set(1.0f), Exp(Sub(Zero(), g)))); }

void Clamp(const float* x, float low, float high, int64_t n, float* out) {
  ForEachVector(n, [&](int64_t i, int lanes) {
    StoreLanes(out + i, Min(Set(high), Max(Set(low), LoadLanes(x + i, lanes))), lanes);
  });
}

void Silu(float* x, int64_t n) {
  ForEachVector(n, [&](int64_t i, int lanes) {
    const F32 v = LoadLanes(x + i, lanes);
    StoreLanes(x + i, Gated(v, v), lanes);
  });
}

void Gate(const float* x, const float* gate, int64_t n, float* out) {
  ForEachVector(n, [&](int64_t i, int lanes) {
    StoreLanes(out + i, Gated(LoadLanes(x + i, lanes), LoadLanes(gate + i, lanes)), lanes);
  });
}

void AddProducts(const float* a, const float* x, int64_t n, float* y) {
  ForEachVector(n, [&](int64_t i, int lanes) {
    const F32 sum = Fma(LoadLanes(a + i, lanes), LoadLanes(x + i, lanes), LoadLanes(y + i, lanes));
    StoreLanes(y + i, sum, lanes);
  });
}

void LayerNormRelu(const float* weight, int64_t n, float eps, float* x) {
  F32 sum = Zero(), squares = Zero();
  ForEachVector(n, [&](int64_t i, int lanes) { sum = Add(sum, LoadLanes(x + i, lanes)); });
  const F32 mean = Set(ReduceAdd(sum) / static_cast<float>(n));
  ForEachVector(n, [&](int64_t i, int lanes) {
    const F32 v = FirstLanes(Sub(LoadLanes(x + i, lanes), mean), lanes, Zero());
    squares = Fma(v, v, squares);
  });
  const __m128 variance = _mm_set_ss(ReduceAdd(squares) / static_cast<float>(n) + eps);
  const F32 scale = Set(1.0f / _mm_cvtss_f32(_mm_sqrt_ss(variance)));
  ForEachVector(n, [&](int64_t i, int lanes) {
    const F32 v = Mul(Mul(Sub(LoadLanes(x + i, lanes), mean), scale), LoadLanes(weight + i, lanes));
    StoreLanes(x + i, Max(Zero(), v), lanes);
  });
}

FACET_INLINE float BandScore(const BandQuery& q, const float* key, const float* distance) {
  F32 sum = Zero();
  ForEachVector(q.dim, [&](int64_t d, int lanes) {
    const F32 k = Fma(LoadLanes(key + d, lanes), Set(q.key_scale), LoadLanes(distance + d, lanes));
    sum = Fma(LoadLanes(q.query + d, lanes), k, sum);
  });
  return ReduceAdd(sum);
}

void AttendBand(const BandQuery& q) {
  float weights[kMaxBandKeys];
  for (int u = 0; u < q.count; ++u) {
    weights[u] = BandScore(q, q.keys + u * q.stride, q.distances + u * q.distance_stride);
  }
  const F32 nothing = Set(-__builtin_inff());
  F32 largest = nothing, sum = Zero();
  ForEachVector(q.count, [&](int64_t u, int lanes) {
    const F32 s = Mul(Tanh(Div(LoadLanes(weights + u, lanes), Set(q.cap))), Set(q.cap));
    StoreLanes(weights + u, s, lanes);
    largest = Max(largest, FirstLanes(s, lanes, nothing));
  });
  const F32 most = Set(ReduceMax(largest));
  ForEachVector(q.count, [&](int64_t u, int lanes) {
    const F32 p = FirstLanes(Exp(Sub(LoadLanes(weights + u, lanes), most)), lanes, Zero());
    StoreLanes(weights + u, p, lanes);
    sum = Add(sum, p);
  });
  const F32 share = Set(1.0f / ReduceAdd(sum));
  ForEachVector(q.dim, [&](int64_t d, int lanes) {
    F32 mixed = Zero();
    for (int u = 0; u < q.count; ++u) {
      mixed = Fma(Set(weights[u]), LoadLanes(q.values + u * q.stride + d, lanes), mixed);
    }
    StoreLanes(q.out + d, Mul(mixed, share), lanes);
  });
}

}  // namespace

extern const cpu::TowerKernels kTowerKernels;
const cpu::TowerKernels kTowerKernels = {Clamp, Silu, Gate, AddProducts, LayerNormRelu, AttendBand};

}  // namespace facet::SIMD_NS
