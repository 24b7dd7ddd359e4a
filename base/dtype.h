#ifndef FACET_BASE_DTYPE_H_
#define FACET_BASE_DTYPE_H_

// Element types of tensors, in a checkpoint and in memory.

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace facet {

enum class DType { kF32, kBF16, kF16 };

inline size_t SizeOf(DType type) { return type == DType::kF32 ? 4 : 2; }
inline const char* Name(DType type) {
  switch (type) {
    case DType::kF32:
      return "f32";
    case DType::kBF16:
      return "bf16";
    case DType::kF16:
      return "f16";
  }
  return "?";
}

// bfloat16 is the upper half of a float32: widening is exact.
inline float Bf16ToFloat(uint16_t x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float out;
  std::memcpy(&out, &bits, sizeof(out));
  return out;
}

// Rounds to nearest, ties to even; a NaN stays a (quiet) NaN.
inline uint16_t FloatToBf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// IEEE half precision; exact for every value, subnormals included.
inline float F16ToFloat(uint16_t x) {
  const uint32_t sign = static_cast<uint32_t>(x & 0x8000u) << 16;
  const uint32_t exponent = (x >> 10) & 0x1fu;
  const uint32_t mantissa = x & 0x3ffu;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  const uint32_t bits = sign | ((exponent == 31 ? 255u : exponent + 112u) << 23) | (mantissa << 13);
  float out;
  std::memcpy(&out, &bits, sizeof(out));
  return out;
}

}  // namespace facet

#endif  // FACET_BASE_DTYPE_H_
