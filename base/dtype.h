#ifndef FACET_BASE_DTYPE_H_
#define FACET_BASE_DTYPE_H_

// Element types of tensors, in a checkpoint and in memory.

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace facet {

enum class DType {
  kF32,
  kBF16,
  kF16,
  // Of cached keys and values only: one byte, times a scale that a row of elements shares.
  kInt8,    // [-127, 127]
  kF8E4M3,  // 4 bits of exponent, 3 of mantissa, no infinity: [-448, 448]
};

inline size_t SizeOf(DType type) {
  switch (type) {
    case DType::kF32:
      return 4;
    case DType::kBF16:
    case DType::kF16:
      return 2;
    case DType::kInt8:
    case DType::kF8E4M3:
      break;
  }
  return 1;
}

// Whether a row of elements goes with a float32 scale.
inline bool IsScaled(DType type) { return type == DType::kInt8 || type == DType::kF8E4M3; }

inline const char* Name(DType type) {
  switch (type) {
    case DType::kF32:
      return "f32";
    case DType::kBF16:
      return "bf16";
    case DType::kF16:
      return "f16";
    case DType::kInt8:
      return "int8";
    case DType::kF8E4M3:
      return "fp8";
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

// Exact. 0x7f and 0xff are NaNs.
inline float F8ToFloat(uint8_t x) {
  const bool nan = (x & 0x7f) == 0x7f;
  // Half precision has the same form with more bits of mantissa and 8 more of exponent's bias.
  const auto half = static_cast<uint16_t>((x & 0x80) << 8 | (x & 0x7f) << 7);
  return nan ? F16ToFloat(0x7e00) : F16ToFloat(half) * 256.0f;
}

// Rounds to nearest, ties to even; what is beyond 448 becomes 448; a NaN stays a NaN.
inline uint8_t FloatToF8(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  const uint32_t sign = bits >> 24 & 0x80u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint8_t>(sign | 0x7f);
  if (magnitude >= 0x43e00000u) return static_cast<uint8_t>(sign | 0x7e);  // 448
  uint32_t code;
  if (magnitude < 0x3c800000u) {  // 2^-6: a multiple of 2^-9, which is the last bit of 2^14
    float rounded;
    std::memcpy(&rounded, &magnitude, sizeof(rounded));
    rounded += 0x1p14f;
    std::memcpy(&code, &rounded, sizeof(code));
    code -= 0x46800000u;
  } else {
    code = ((magnitude + 0x7ffffu + (magnitude >> 20 & 1u)) >> 20) - (120u << 3);
  }
  return static_cast<uint8_t>(sign | code);
}

}  // namespace facet

#endif  // FACET_BASE_DTYPE_H_
