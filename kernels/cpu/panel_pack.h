#ifndef FACET_KERNELS_CPU_PANEL_PACK_H_
#define FACET_KERNELS_CPU_PANEL_PACK_H_

// Packing of 16 rows into a panel, for one level (see simd.h and matmul_kernels.h).

#include "kernels/cpu/byte_codes.h"
#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/simd.h"

namespace facet::SIMD_NS {

using cpu::Element;

constexpr bool IsByte(Element e) { return e == Element::kInt8 || e == Element::kF8; }
constexpr int64_t ElementBytes(Element e) { return e == Element::kF32 ? 4 : IsByte(e) ? 1 : 2; }
constexpr int64_t ElementsPerUnit(PanelFormat f) { return f == PanelFormat::kF32 ? 1 : 2; }

// The bfloat16 pairs of 16 floats.
FACET_INLINE __m256i RoundToPairs(F32 x) { return Narrow(RoundToBf16(x)); }

// Eight units of a row in the panel's element type: 8 floats, or 8 pairs of bfloat16.
template <PanelFormat F, Element E>
FACET_INLINE __m256i LoadUnits(const uint8_t* row) {
  const auto* p = reinterpret_cast<const __m256i*>(row);
  if constexpr (F == PanelFormat::kF32) {
    if constexpr (E == Element::kF32) return _mm256_loadu_si256(p);
    const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(row));
    if constexpr (E == Element::kBf16) return _mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16);
    return _mm256_castps_si256(_mm256_cvtph_ps(half));
  } else {
    if constexpr (E == Element::kBf16) return _mm256_loadu_si256(p);
    if constexpr (IsByte(E)) return CodesToBf16<E>(LoadU8(row));
    if constexpr (E == Element::kF16) return RoundToPairs(WidenF16(_mm256_loadu_si256(p)));
    return RoundToPairs(Load(reinterpret_cast<const float*>(row)));
  }
}

// Transposes 8 rows of 8 units.
FACET_INLINE void Transpose8(__m256i r[8]) {
  __m256i t[8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
  }
  __m256i u[8];
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    u[4 * i] = _mm256_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    u[4 * i + 1] = _mm256_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    u[4 * i + 2] = _mm256_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    u[4 * i + 3] = _mm256_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x20);
    r[i + 4] = _mm256_permute2x128_si256(u[i], u[i + 4], 0x31);
  }
}

// kStream: past the caches, for weights that are not used soon.
template <bool kStream>
FACET_INLINE void StoreLines(const __m256i lo[8], const __m256i hi[8], int64_t lines,
                             uint8_t* panel) {
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    if (i >= lines) return;
    auto* line = reinterpret_cast<__m256i*>(panel + i * kLineBytes);
    if constexpr (kStream) {
      _mm256_stream_si256(line, lo[i]);
      _mm256_stream_si256(line + 1, hi[i]);
    } else {
      _mm256_store_si256(line, lo[i]);
      _mm256_store_si256(line + 1, hi[i]);
    }
  }
}

template <PanelFormat F, Element E, bool kStream>
static void PackRows(const uint8_t* const* rows, int64_t in, uint8_t* panel) {
  static_assert(!IsByte(E) || F == PanelFormat::kBf16);
  constexpr int64_t kStride = 8 * ElementsPerUnit(F) * ElementBytes(E);  // bytes of 8 units
  const int64_t whole = in / (8 * ElementsPerUnit(F));
  __m256i lo[8], hi[8];
  for (int64_t i = 0; i < whole; ++i) {
#pragma GCC unroll 8
    for (int r = 0; r < 8; ++r) {
      const uint8_t *a = rows[r], *b = rows[r + 8];
      lo[r] = a ? LoadUnits<F, E>(a + i * kStride) : _mm256_setzero_si256();
      hi[r] = b ? LoadUnits<F, E>(b + i * kStride) : _mm256_setzero_si256();
    }
    Transpose8(lo);
    Transpose8(hi);
    StoreLines<kStream>(lo, hi, 8, panel + i * 8 * kLineBytes);
  }
  const int64_t left = in - whole * 8 * ElementsPerUnit(F);
  if (left == 0) return;
  for (int r = 0; r < 8; ++r) {
    for (int half = 0; half < 2; ++half) {
      const uint8_t* row = rows[r + 8 * half];
      uint8_t buffer[64] = {};
      if (row != nullptr) {
        __builtin_memcpy(buffer, row + whole * kStride,
                         static_cast<unsigned>(left * ElementBytes(E)));
      }
      (half ? hi : lo)[r] = LoadUnits<F, E>(buffer);
    }
  }
  Transpose8(lo);
  Transpose8(hi);
  StoreLines<kStream>(lo, hi, StepsOf(F, left), panel + whole * 8 * kLineBytes);
}

template <PanelFormat F, bool kStream>
static void PackPanelOf(Element element, const uint8_t* const* rows, int64_t in, uint8_t* panel) {
  switch (element) {
    case Element::kF32:
      return PackRows<F, Element::kF32, kStream>(rows, in, panel);
    case Element::kBf16:
      return PackRows<F, Element::kBf16, kStream>(rows, in, panel);
    case Element::kF16:
      return PackRows<F, Element::kF16, kStream>(rows, in, panel);
    case Element::kInt8:
    case Element::kF8:
      return;  // never weights
  }
}

}  // namespace facet::SIMD_NS

#endif  // FACET_KERNELS_CPU_PANEL_PACK_H_
