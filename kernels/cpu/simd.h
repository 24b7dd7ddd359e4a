#ifndef FACET_KERNELS_CPU_SIMD_H_
#define FACET_KERNELS_CPU_SIMD_H_

// A vector of 16 floats, the only one the kernels are written in: one AVX-512 register, or two AVX2
// halves. Each level has its own copy of this header's content, in its own namespace (SIMD_NS; see
// bazel/simd.bzl), and does the same operations in the same order, so AVX2 and AVX-512 agree bit
// for bit, and what the AVX2 tests prove holds for the AVX-512 kernels but for the one-line
// wrappers below.
//
// Files that include this are compiled with wide -m flags. They must not include headers with
// inline functions of other namespaces (the standard library's, Abseil's): the linker could keep
// the wide copy of such a function for the whole program.

#include <immintrin.h>
#include <stdint.h>

#define FACET_INLINE static inline __attribute__((always_inline))

namespace facet::SIMD_NS {

constexpr int kLanes = 16;

// First `n` lanes of a mask: the window of 8 ending at 8 - n.
alignas(64) static const int32_t kMaskWindow[16] = {-1, -1, -1, -1, -1, -1, -1, -1};

FACET_INLINE __m256i HalfMask(int n) {
  n = n < 0 ? 0 : n > 8 ? 8 : n;
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMaskWindow + 8 - n));
}

#if defined(__AVX512F__)

struct F32 {
  __m512 v;
};
struct U32 {
  __m512i v;
};

FACET_INLINE F32 Set(float x) { return {_mm512_set1_ps(x)}; }
FACET_INLINE U32 SetU32(uint32_t x) { return {_mm512_set1_epi32(static_cast<int>(x))}; }
FACET_INLINE F32 Load(const float* p) { return {_mm512_loadu_ps(p)}; }
FACET_INLINE void Store(float* p, F32 x) { _mm512_storeu_ps(p, x.v); }
FACET_INLINE __mmask16 LaneMask(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
FACET_INLINE F32 LoadPart(const float* p, int n) { return {_mm512_maskz_loadu_ps(LaneMask(n), p)}; }
FACET_INLINE void StorePart(float* p, F32 x, int n) { _mm512_mask_storeu_ps(p, LaneMask(n), x.v); }
FACET_INLINE U32 LoadU32(const void* p) { return {_mm512_loadu_si512(p)}; }
FACET_INLINE F32 Add(F32 a, F32 b) { return {_mm512_add_ps(a.v, b.v)}; }
FACET_INLINE F32 Sub(F32 a, F32 b) { return {_mm512_sub_ps(a.v, b.v)}; }
FACET_INLINE F32 Mul(F32 a, F32 b) { return {_mm512_mul_ps(a.v, b.v)}; }
FACET_INLINE F32 Div(F32 a, F32 b) { return {_mm512_div_ps(a.v, b.v)}; }
FACET_INLINE F32 Fma(F32 a, F32 b, F32 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
FACET_INLINE F32 Fnma(F32 a, F32 b, F32 c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
// acc = a * b + acc, for accumulators that fill the register file.
FACET_INLINE void FmaInto(F32& acc, F32 a, F32 b) { acc.v = _mm512_fmadd_ps(a.v, b.v, acc.v); }
// The second operand, where one of the two is a NaN.
FACET_INLINE F32 Min(F32 a, F32 b) { return {_mm512_min_ps(a.v, b.v)}; }
FACET_INLINE F32 Max(F32 a, F32 b) { return {_mm512_max_ps(a.v, b.v)}; }
FACET_INLINE F32 Round(F32 x) {
  return {_mm512_roundscale_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// a < b ? x : y
FACET_INLINE F32 SelectLess(F32 a, F32 b, F32 x, F32 y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
// x is a NaN ? a : b
FACET_INLINE F32 SelectNan(F32 x, F32 a, F32 b) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q), b.v, a.v)};
}
FACET_INLINE U32 Bits(F32 x) { return {_mm512_castps_si512(x.v)}; }
FACET_INLINE F32 Floats(U32 x) { return {_mm512_castsi512_ps(x.v)}; }
FACET_INLINE U32 And(U32 a, U32 b) { return {_mm512_and_si512(a.v, b.v)}; }
FACET_INLINE U32 Or(U32 a, U32 b) { return {_mm512_or_si512(a.v, b.v)}; }
FACET_INLINE U32 AddU32(U32 a, U32 b) { return {_mm512_add_epi32(a.v, b.v)}; }
FACET_INLINE U32 SubU32(U32 a, U32 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
template <int N>
FACET_INLINE U32 ShiftLeft(U32 x) {
  return {_mm512_slli_epi32(x.v, N)};
}
template <int N>
FACET_INLINE U32 ShiftRight(U32 x) {
  return {_mm512_srli_epi32(x.v, N)};
}
template <int N>
FACET_INLINE U32 ShiftRightSigned(U32 x) {
  return {_mm512_srai_epi32(x.v, N)};
}
FACET_INLINE U32 ToInt(F32 x) { return {_mm512_cvtps_epi32(x.v)}; }
FACET_INLINE F32 WidenBf16(__m256i x) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16))};
}
FACET_INLINE F32 WidenF16(__m256i x) { return {_mm512_cvtph_ps(x)}; }
FACET_INLINE F32 FromInt8(__m128i x) { return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x))}; }
// The low 16 bits of each lane, in order.
FACET_INLINE __m256i Narrow(U32 x) { return _mm512_cvtepi32_epi16(x.v); }
FACET_INLINE __m256 Low(F32 x) { return _mm512_castps512_ps256(x.v); }
FACET_INLINE __m256 High(F32 x) { return _mm512_extractf32x8_ps(x.v, 1); }

#else  // AVX2

struct F32 {
  __m256 lo, hi;
};
struct U32 {
  __m256i lo, hi;
};

FACET_INLINE F32 Set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
FACET_INLINE U32 SetU32(uint32_t x) {
  return {_mm256_set1_epi32(static_cast<int>(x)), _mm256_set1_epi32(static_cast<int>(x))};
}
FACET_INLINE F32 Load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
FACET_INLINE void Store(float* p, F32 x) {
  _mm256_storeu_ps(p, x.lo);
  _mm256_storeu_ps(p + 8, x.hi);
}
FACET_INLINE F32 LoadPart(const float* p, int n) {
  return {_mm256_maskload_ps(p, HalfMask(n)), _mm256_maskload_ps(p + 8, HalfMask(n - 8))};
}
FACET_INLINE void StorePart(float* p, F32 x, int n) {
  _mm256_maskstore_ps(p, HalfMask(n), x.lo);
  _mm256_maskstore_ps(p + 8, HalfMask(n - 8), x.hi);
}
FACET_INLINE U32 LoadU32(const void* p) {
  const auto* q = static_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(q), _mm256_loadu_si256(q + 1)};
}
FACET_INLINE F32 Add(F32 a, F32 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
FACET_INLINE F32 Sub(F32 a, F32 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
FACET_INLINE F32 Mul(F32 a, F32 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
FACET_INLINE F32 Div(F32 a, F32 b) {
  return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
FACET_INLINE F32 Fma(F32 a, F32 b, F32 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
// acc = a * b + acc, for accumulators that fill the register file. Written out, because gcc 12
// would rather keep the sum in the register of `b` and spill accumulators.
FACET_INLINE void FmaInto(F32& acc, F32 a, F32 b) {
  asm("vfmadd231ps %2, %1, %0" : "+x"(acc.lo) : "x"(a.lo), "x"(b.lo));
  asm("vfmadd231ps %2, %1, %0" : "+x"(acc.hi) : "x"(a.hi), "x"(b.hi));
}
FACET_INLINE F32 Fnma(F32 a, F32 b, F32 c) {
  return {_mm256_fnmadd_ps(a.lo, b.lo, c.lo), _mm256_fnmadd_ps(a.hi, b.hi, c.hi)};
}
// The second operand, where one of the two is a NaN.
FACET_INLINE F32 Min(F32 a, F32 b) {
  return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
FACET_INLINE F32 Max(F32 a, F32 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
FACET_INLINE F32 Round(F32 x) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.lo, kMode), _mm256_round_ps(x.hi, kMode)};
}
// a < b ? x : y
FACET_INLINE F32 SelectLess(F32 a, F32 b, F32 x, F32 y) {
  return {_mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
          _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}
// x is a NaN ? a : b
FACET_INLINE F32 SelectNan(F32 x, F32 a, F32 b) {
  return {_mm256_blendv_ps(b.lo, a.lo, _mm256_cmp_ps(x.lo, x.lo, _CMP_UNORD_Q)),
          _mm256_blendv_ps(b.hi, a.hi, _mm256_cmp_ps(x.hi, x.hi, _CMP_UNORD_Q))};
}
FACET_INLINE U32 Bits(F32 x) { return {_mm256_castps_si256(x.lo), _mm256_castps_si256(x.hi)}; }
FACET_INLINE F32 Floats(U32 x) { return {_mm256_castsi256_ps(x.lo), _mm256_castsi256_ps(x.hi)}; }
FACET_INLINE U32 And(U32 a, U32 b) {
  return {_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)};
}
FACET_INLINE U32 Or(U32 a, U32 b) {
  return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)};
}
FACET_INLINE U32 AddU32(U32 a, U32 b) {
  return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)};
}
FACET_INLINE U32 SubU32(U32 a, U32 b) {
  return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)};
}
template <int N>
FACET_INLINE U32 ShiftLeft(U32 x) {
  return {_mm256_slli_epi32(x.lo, N), _mm256_slli_epi32(x.hi, N)};
}
template <int N>
FACET_INLINE U32 ShiftRight(U32 x) {
  return {_mm256_srli_epi32(x.lo, N), _mm256_srli_epi32(x.hi, N)};
}
template <int N>
FACET_INLINE U32 ShiftRightSigned(U32 x) {
  return {_mm256_srai_epi32(x.lo, N), _mm256_srai_epi32(x.hi, N)};
}
FACET_INLINE U32 ToInt(F32 x) { return {_mm256_cvtps_epi32(x.lo), _mm256_cvtps_epi32(x.hi)}; }
FACET_INLINE F32 WidenBf16(__m256i x) {
  const __m256i lo = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(x));
  const __m256i hi = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(x, 1));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(lo, 16)),
          _mm256_castsi256_ps(_mm256_slli_epi32(hi, 16))};
}
FACET_INLINE F32 WidenF16(__m256i x) {
  return {_mm256_cvtph_ps(_mm256_castsi256_si128(x)),
          _mm256_cvtph_ps(_mm256_extracti128_si256(x, 1))};
}
FACET_INLINE F32 FromInt8(__m128i x) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(x)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(x, 8)))};
}
// The low 16 bits of each lane, in order.
FACET_INLINE __m256i Narrow(U32 x) {
  const __m256i mask = _mm256_set1_epi32(0xffff);
  const __m256i packed =
      _mm256_packus_epi32(_mm256_and_si256(x.lo, mask), _mm256_and_si256(x.hi, mask));
  return _mm256_permute4x64_epi64(packed, 0xd8);
}
FACET_INLINE __m256 Low(F32 x) { return x.lo; }
FACET_INLINE __m256 High(F32 x) { return x.hi; }

#endif

FACET_INLINE F32 Zero() { return Set(0.0f); }

// Sixteen 16-bit elements, and the first `n` of them (the others zero).
FACET_INLINE __m256i LoadU16(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
FACET_INLINE __m256i LoadU16Part(const void* p, int n) {
  uint16_t buffer[kLanes] = {};
  __builtin_memcpy(buffer, p, 2 * static_cast<unsigned>(n));
  return LoadU16(buffer);
}
FACET_INLINE void StoreU16(void* p, __m256i x) { _mm256_storeu_si256(static_cast<__m256i*>(p), x); }
FACET_INLINE void StoreU16Part(void* p, __m256i x, int n) {
  uint16_t buffer[kLanes];
  StoreU16(buffer, x);
  __builtin_memcpy(p, buffer, 2 * static_cast<unsigned>(n));
}

// A lane holds two bfloat16: the even element in its low half, the odd one in its high half.
FACET_INLINE F32 EvenBf16(U32 pairs) { return Floats(ShiftLeft<16>(pairs)); }
FACET_INLINE F32 OddBf16(U32 pairs) { return Floats(And(pairs, SetU32(0xffff0000u))); }

// The same of the line at `p`. In AVX2 the mask comes from memory: a register for it would be the
// seventeenth in the widest tile.
FACET_INLINE F32 LoadOddBf16(const void* p) {
#if defined(__AVX512F__)
  return OddBf16(LoadU32(p));
#else
  alignas(32) static const uint32_t kHigh[8] = {0xffff0000u, 0xffff0000u, 0xffff0000u, 0xffff0000u,
                                                0xffff0000u, 0xffff0000u, 0xffff0000u, 0xffff0000u};
  U32 pairs = LoadU32(p);
  asm("vpand %1, %0, %0" : "+x"(pairs.lo) : "m"(kHigh));
  asm("vpand %1, %0, %0" : "+x"(pairs.hi) : "m"(kHigh));
  return Floats(pairs);
#endif
}

// float32 to bfloat16 in the low half of each lane: nearest, ties to even; a NaN stays one.
FACET_INLINE U32 RoundToBf16(F32 x) {
  const U32 bits = Bits(x);
  const U32 odd = And(ShiftRight<16>(bits), SetU32(1));
  const F32 rounded = Floats(AddU32(AddU32(bits, SetU32(0x7fff)), odd));
  const F32 quiet = Floats(Or(bits, SetU32(0x00400000u)));
  return ShiftRight<16>(Bits(SelectNan(x, quiet, rounded)));
}

// acc + the dot product of two bfloat16 pairs: each lane's with the one in `x`.
FACET_INLINE F32 DotBf16(F32 acc, U32 pairs, uint32_t x) {
#if defined(__AVX512BF16__)
  return {_mm512_dpbf16_ps(acc.v, reinterpret_cast<__m512bh>(pairs.v),
                           reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(x))))};
#else  // close to the instruction, which rounds less often: for tests
  acc = Fma(OddBf16(pairs), Floats(SetU32(x & 0xffff0000u)), acc);
  return Fma(EvenBf16(pairs), Floats(SetU32(x << 16)), acc);
#endif
}

FACET_INLINE float ReduceAdd(F32 x) {
  const __m256 s = _mm256_add_ps(Low(x), High(x));
  __m128 t = _mm_add_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  t = _mm_add_ps(t, _mm_movehl_ps(t, t));
  return _mm_cvtss_f32(_mm_add_ss(t, _mm_movehdup_ps(t)));
}
FACET_INLINE float ReduceMax(F32 x) {
  const __m256 s = _mm256_max_ps(Low(x), High(x));
  __m128 t = _mm_max_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  t = _mm_max_ps(t, _mm_movehl_ps(t, t));
  return _mm_cvtss_f32(_mm_max_ss(t, _mm_movehdup_ps(t)));
}

// 2^n for n in [-126, 127].
FACET_INLINE F32 PowerOfTwo(U32 n) { return Floats(ShiftLeft<23>(AddU32(n, SetU32(127)))); }

// e^x to about 1 ulp over the whole range, subnormal results included; exp(-inf) = 0, exp(0) = 1
// exactly, exp(NaN) = NaN. x = n ln 2 + r with |r| <= ln(2)/2, then Taylor's series of e^r up to
// r^7 (remainder 5e-9) and two exact factors that make 2^n.
FACET_INLINE F32 Exp(F32 x) {
  x = Max(Set(-105.0f), Min(Set(89.0f), x));
  const F32 n = Round(Mul(x, Set(1.442695041f)));
  F32 r = Fnma(n, Set(0x1.62e430p-1f), x);
  r = Fnma(n, Set(-0x1.05c610p-29f), r);
  F32 p = Set(1.0f / 5040);
  p = Fma(p, r, Set(1.0f / 720));
  p = Fma(p, r, Set(1.0f / 120));
  p = Fma(p, r, Set(1.0f / 24));
  p = Fma(p, r, Set(1.0f / 6));
  p = Fma(p, r, Set(0.5f));
  p = Fma(p, r, Set(1.0f));
  p = Fma(p, r, Set(1.0f));
  const U32 exponent = ToInt(n);
  const U32 half = ShiftRightSigned<1>(exponent);
  return Mul(Mul(p, PowerOfTwo(half)), PowerOfTwo(SubU32(exponent, half)));
}

// tanh(x) to about 2 ulp: an odd polynomial near 0 (Moshier's Cephes, tanhf), 1 - 2/(e^2|x| + 1)
// beyond.
FACET_INLINE F32 Tanh(F32 x) {
  const U32 sign = And(Bits(x), SetU32(0x80000000u));
  const F32 a = Floats(And(Bits(x), SetU32(0x7fffffffu)));
  const F32 z = Mul(x, x);
  F32 p = Set(-5.70498872745e-3f);
  p = Fma(p, z, Set(2.06390887954e-2f));
  p = Fma(p, z, Set(-5.37397155531e-2f));
  p = Fma(p, z, Set(1.33314422036e-1f));
  p = Fma(p, z, Set(-3.33332819422e-1f));
  const F32 small = Fma(Mul(p, z), x, x);
  const F32 e = Exp(Add(a, a));
  const F32 large = Sub(Set(1.0f), Div(Set(2.0f), Add(e, Set(1.0f))));
  return SelectLess(a, Set(0.625f), small, Floats(Or(Bits(large), sign)));
}

// u / (1 + e^-2z), z = sqrt(2/pi) (u + 0.044715 u^3): the tanh form of GELU without the
// cancellation of 1 + tanh for negative u.
FACET_INLINE F32 Gelu(F32 u) {
  const F32 square = Fma(Mul(u, u), Set(0.044715f), Set(1.0f));
  const F32 minus_2z = Mul(Mul(u, square), Set(-1.5957691216057308f));
  return Div(u, Add(Set(1.0f), Exp(minus_2z)));
}

}  // namespace facet::SIMD_NS

#endif  // FACET_KERNELS_CPU_SIMD_H_
