// Row kernels of one level.

#include "kernels/cpu/byte_codes.h"
#include "kernels/cpu/row_kernels.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vector_loop.h"

namespace facet::SIMD_NS {
namespace {

using cpu::Element;

void GeluMul(const float* gate, const float* up, int64_t n, float* out) {
  ForEachVector(n, [&](int64_t i, int lanes) {
    StoreLanes(out + i, Mul(Gelu(LoadLanes(gate + i, lanes)), LoadLanes(up + i, lanes)), lanes);
  });
}

void AddScale(const float* a, const float* b, float scale, int64_t n, float* out) {
  ForEachVector(n, [&](int64_t i, int lanes) {
    const F32 sum = Add(LoadLanes(a + i, lanes), LoadLanes(b + i, lanes));
    StoreLanes(out + i, Mul(sum, Set(scale)), lanes);
  });
}

void Scale(float* x, float scale, int64_t n) {
  ForEachVector(n, [&](int64_t i, int lanes) {
    StoreLanes(x + i, Mul(LoadLanes(x + i, lanes), Set(scale)), lanes);
  });
}

void SoftCap(float* x, float cap, int64_t n) {
  ForEachVector(n, [&](int64_t i, int lanes) {
    const F32 t = Tanh(Div(LoadLanes(x + i, lanes), Set(cap)));
    StoreLanes(x + i, Mul(t, Set(cap)), lanes);
  });
}

void AddProduct(float a, const float* x, int64_t n, float* y) {
  ForEachVector(n, [&](int64_t i, int lanes) {
    StoreLanes(y + i, Fma(Set(a), LoadLanes(x + i, lanes), LoadLanes(y + i, lanes)), lanes);
  });
}

// 1 / sqrt(mean(x^2) + eps). Four sums of 16 lanes each, so that a lane adds few terms.
FACET_INLINE float InverseRms(const float* x, int64_t n, float eps) {
  F32 s[4] = {Zero(), Zero(), Zero(), Zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const F32 v = Load(x + i + j * kLanes);
      s[j] = Fma(v, v, s[j]);
    }
  }
  ForEachVector(n - i, [&](int64_t j, int lanes) {
    const F32 v = LoadLanes(x + i + j, lanes);
    s[0] = Fma(v, v, s[0]);
  });
  const float sum = ReduceAdd(Add(Add(s[0], s[1]), Add(s[2], s[3])));
  const __m128d mean =
      _mm_set_sd(static_cast<double>(sum) / static_cast<double>(n) + static_cast<double>(eps));
  return static_cast<float>(1.0 / _mm_cvtsd_f64(_mm_sqrt_sd(mean, mean)));
}

void RmsNorm(const float* x, const float* weight, int64_t n, float eps, float* out) {
  const F32 inverse = Set(InverseRms(x, n, eps));
  ForEachVector(n, [&](int64_t i, int lanes) {
    F32 v = Mul(LoadLanes(x + i, lanes), inverse);
    if (weight != nullptr) v = Mul(v, LoadLanes(weight + i, lanes));
    StoreLanes(out + i, v, lanes);
  });
}

void AddRmsNorm(const float* x, const float* weight, int64_t n, float eps, float scale,
                float* residual) {
  const F32 inverse = Set(InverseRms(x, n, eps));
  ForEachVector(n, [&](int64_t i, int lanes) {
    F32 v = Mul(LoadLanes(x + i, lanes), inverse);
    if (weight != nullptr) v = Mul(v, LoadLanes(weight + i, lanes));
    const F32 sum = Add(LoadLanes(residual + i, lanes), v);
    StoreLanes(residual + i, Mul(sum, Set(scale)), lanes);
  });
}

void Rotate(float* x, const float* cos_sin, int64_t n) {
  const int64_t half = n / 2;
  ForEachVector(half, [&](int64_t i, int lanes) {
    const F32 a = LoadLanes(x + i, lanes), b = LoadLanes(x + half + i, lanes);
    const F32 cos = LoadLanes(cos_sin + i, lanes), sin = LoadLanes(cos_sin + half + i, lanes);
    StoreLanes(x + i, Sub(Mul(a, cos), Mul(b, sin)), lanes);
    StoreLanes(x + half + i, Add(Mul(b, cos), Mul(a, sin)), lanes);
  });
}

void Widen(const uint8_t* x, Element element, float scale, int64_t n, float* out) {
  if (element == Element::kF32) {
    return ForEachVector(n, [&](int64_t i, int lanes) {
      const F32 v = LoadLanes(reinterpret_cast<const float*>(x + 4 * i), lanes);
      StoreLanes(out + i, Mul(v, Set(scale)), lanes);
    });
  }
  ForEachVector(n, [&](int64_t i, int lanes) {
    const __m256i half = lanes == kLanes ? LoadU16(x + 2 * i) : LoadU16Part(x + 2 * i, lanes);
    const F32 v = element == Element::kBf16 ? WidenBf16(half) : WidenF16(half);
    StoreLanes(out + i, Mul(v, Set(scale)), lanes);
  });
}

void NarrowToBf16(const float* x, int64_t n, uint16_t* out) {
  ForEachVector(n, [&](int64_t i, int lanes) {
    const __m256i half = Narrow(RoundToBf16(LoadLanes(x + i, lanes)));
    if (lanes == kLanes) {
      StoreU16(out + i, half);
    } else {
      StoreU16Part(out + i, half, lanes);
    }
  });
}

template <Element E>
void QuantiseTo(const float* x, int64_t n, uint8_t* out) {
  F32 magnitudes = Zero(), nothing = Zero();
  ForEachVector(n, [&](int64_t i, int lanes) {
    const F32 v = LoadLanes(x + i, lanes);
    magnitudes = Max(Floats(And(Bits(v), SetU32(0x7fffffffu))), magnitudes);
    nothing = Add(nothing, Sub(v, v));  // NaN where x is not finite
  });
  const float scale = ReduceMax(magnitudes) / LargestCode<E>() + ReduceAdd(nothing);
  __builtin_memcpy(out + n, &scale, sizeof(scale));
  if (!(scale > 0)) {
    __builtin_memset(out, 0, static_cast<uint64_t>(n));
    return;
  }
  ForEachVector(n, [&](int64_t i, int lanes) {
    const __m128i codes = ToCodes<E>(Div(LoadLanes(x + i, lanes), Set(scale)));
    if (lanes == kLanes) {
      StoreU8(out + i, codes);
    } else {
      StoreU8Part(out + i, codes, lanes);
    }
  });
}

void Quantise(const float* x, Element element, int64_t n, uint8_t* out) {
  return element == Element::kInt8 ? QuantiseTo<Element::kInt8>(x, n, out)
                                   : QuantiseTo<Element::kF8>(x, n, out);
}

}  // namespace

extern const cpu::RowKernels kRowKernels;
const cpu::RowKernels kRowKernels = {
    GeluMul,    AddScale, Scale, SoftCap,      AddProduct, RmsNorm,
    AddRmsNorm, Rotate,   Widen, NarrowToBf16, Quantise,
};

}  // namespace facet::SIMD_NS
