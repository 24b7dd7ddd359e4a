#ifndef FACET_KERNELS_CPU_BYTE_CODES_H_
#define FACET_KERNELS_CPU_BYTE_CODES_H_

// Elements of one byte, sixteen at a time, for one level (see simd.h): the codes of Element::kInt8
// and kF8 without their scale. base/dtype.h says the same for one.

#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/simd.h"

namespace facet::SIMD_NS {

template <cpu::Element E>
constexpr float LargestCode() {
  return E == cpu::Element::kInt8 ? 127.0f : 448.0f;
}

// float32 to the nearest code, ties to even, and within the largest ones. No NaNs.
template <cpu::Element E>
FACET_INLINE __m128i ToCodes(F32 x) {
  const F32 limit = Set(LargestCode<E>());
  x = Max(Sub(Zero(), limit), Min(limit, x));
  U32 code;
  if constexpr (E == cpu::Element::kInt8) {
    code = And(ToInt(x), SetU32(0xff));
  } else {
    const U32 sign = And(ShiftRight<24>(Bits(x)), SetU32(0x80));
    const U32 bits = And(Bits(x), SetU32(0x7fffffffu));
    // Below 2^-6: a multiple of 2^-9, which is the last bit of 2^14.
    const U32 small = SubU32(Bits(Add(Floats(bits), Set(0x1p14f))), SetU32(0x46800000u));
    const U32 odd = And(ShiftRight<20>(bits), SetU32(1));
    const U32 rounded = ShiftRight<20>(AddU32(AddU32(bits, SetU32(0x7ffff)), odd));
    const U32 large = SubU32(rounded, SetU32(120u << 3));
    code = Or(sign, Bits(SelectLess(Floats(bits), Set(0x1p-6f), Floats(small), Floats(large))));
  }
  const __m256i words = Narrow(code);
  return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

// Codes to bfloat16, which holds them all exactly.
template <cpu::Element E>
FACET_INLINE __m256i CodesToBf16(__m128i codes) {
  F32 wide;
  if constexpr (E == cpu::Element::kInt8) {
    wide = FromInt8(codes);
  } else {
    // As half precision, whose exponent has 8 more of bias.
    const __m256i x = _mm256_cvtepu8_epi16(codes);
    const __m256i sign = _mm256_slli_epi16(_mm256_and_si256(x, _mm256_set1_epi16(0x80)), 8);
    const __m256i rest = _mm256_slli_epi16(_mm256_and_si256(x, _mm256_set1_epi16(0x7f)), 7);
    wide = Mul(WidenF16(_mm256_or_si256(sign, rest)), Set(256.0f));
  }
  return Narrow(ShiftRight<16>(Bits(wide)));
}

FACET_INLINE __m128i LoadU8(const void* p) {
  return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
FACET_INLINE __m128i LoadU8Part(const void* p, int n) {
  uint8_t buffer[kLanes] = {};
  __builtin_memcpy(buffer, p, static_cast<unsigned>(n));
  return LoadU8(buffer);
}
FACET_INLINE void StoreU8(void* p, __m128i x) { _mm_storeu_si128(static_cast<__m128i*>(p), x); }
FACET_INLINE void StoreU8Part(void* p, __m128i x, int n) {
  uint8_t buffer[kLanes];
  StoreU8(buffer, x);
  __builtin_memcpy(p, buffer, static_cast<unsigned>(n));
}

}  // namespace facet::SIMD_NS

#endif  // FACET_KERNELS_CPU_BYTE_CODES_H_
