#ifndef FACET_KERNELS_CPU_MATMUL_TILE_H_
#define FACET_KERNELS_CPU_MATMUL_TILE_H_

// Matrix multiplication over packed operands, for one level (see simd.h): shared by the MatMul
// kernels and attention.

#include "kernels/cpu/matmul_kernels.h"
#include "kernels/cpu/simd.h"

namespace facet::SIMD_NS {

using cpu::kBlockK;
using cpu::kLineBytes;
using cpu::kPanelRows;
using cpu::MatMulBlock;
using cpu::PanelFormat;
using cpu::StepsOf;

// Tokens a tile may have, and panels that go with a tile of C tokens at once: the accumulators
// C * P must leave registers for the weights (16 vectors of 8 floats; 32 of 16).
#if defined(__AVX512F__) || defined(FACET_SIMD_AVX512_SHAPES)
constexpr int kMaxTileTokens = 12;
constexpr int TilePanels(int tokens) { return tokens <= 6 ? 4 : 2; }
#else
constexpr int kMaxTileTokens = 6;
constexpr int TilePanels(int tokens) { return tokens == 1 ? 4 : tokens <= 3 ? 2 : 1; }
#endif

#if defined(__AVX512BF16__) || defined(FACET_SIMD_EMULATE_DOT)
constexpr bool kHasBf16Dot = true;
#else
constexpr bool kHasBf16Dot = false;
#endif

// Where a kernel asks for weights ahead of their use: at its own lines plus `distance`, `stride`
// bytes further each step.
struct Prefetch {
  int64_t distance;
  int64_t stride;
};

// Where the sums of a tile and its panels go after a block of k.
struct Sums {
  bool first;            // no earlier block
  bool last;             // no later one: to `out`
  float* between;        // [panel][token][16], between the blocks
  int64_t panel_stride;  // of `between`
  float* out;
  int64_t out_stride;
  int64_t out_cols;  // from `out` on
};

// Adds a block's sums [panel][token][16] to the earlier ones and puts them away. Apart from the
// kernels, which would lose registers to its cases.
static __attribute__((noinline)) void PutAway(const float* block, int panels, int tokens,
                                              const Sums& sums) {
  for (int p = 0; p < panels; ++p) {
    const int64_t left = sums.out_cols - p * kPanelRows;
    for (int c = 0; c < tokens; ++c, block += kPanelRows) {
      float* between = sums.between + p * sums.panel_stride + c * kPanelRows;
      F32 sum = Load(block);
      if (!sums.first) sum = Add(Load(between), sum);
      if (!sums.last) {
        Store(between, sum);
        continue;
      }
      float* out = sums.out + c * sums.out_stride + p * kPanelRows;
      if (left >= kPanelRows) {
        Store(out, sum);
      } else {
        StorePart(out, sum, static_cast<int>(left));
      }
    }
  }
}

// The products of C tokens with P panels over `steps` steps.
template <PanelFormat F, int C, int P, bool kPrefetch>
FACET_INLINE void Tile(const uint8_t* w, int64_t panel_bytes, const uint8_t* x, int64_t steps,
                       Prefetch prefetch, const Sums& sums) {
  F32 acc[P][C];
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) acc[p][c] = Zero();
  }
  const uint8_t* ahead = w + prefetch.distance;
  for (int64_t s = 0; s < steps; ++s) {
    if constexpr (kPrefetch) {
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) __builtin_prefetch(ahead + p * panel_bytes);
      ahead += prefetch.stride;
    }
    if constexpr (F == PanelFormat::kF32) {
      const auto* xs = reinterpret_cast<const float*>(x);
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) {
        const F32 weights = Load(reinterpret_cast<const float*>(w + p * panel_bytes));
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) FmaInto(acc[p][c], weights, Set(xs[c]));
      }
      x += C * 4;
    } else if constexpr (F == PanelFormat::kBf16) {
      const auto* xs = reinterpret_cast<const float*>(x);
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) {
        const F32 even = EvenBf16(LoadU32(w + p * panel_bytes));
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) FmaInto(acc[p][c], even, Set(xs[c]));
      }
      // Keeps the compiler from holding both halves of the pairs at once, for which the widest
      // tile has no registers: it would spill accumulators.
      asm volatile("" ::: "memory");
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) {
        const F32 odd = LoadOddBf16(w + p * panel_bytes);
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) FmaInto(acc[p][c], odd, Set(xs[C + c]));
      }
      x += C * 8;
    } else {
      const auto* xs = reinterpret_cast<const uint32_t*>(x);
#pragma GCC unroll 16
      for (int p = 0; p < P; ++p) {
        const U32 pairs = LoadU32(w + p * panel_bytes);
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) acc[p][c] = DotBf16(acc[p][c], pairs, xs[c]);
      }
      x += C * 4;
    }
    w += kLineBytes;
  }
  alignas(64) float block[P * C * kPanelRows];
#pragma GCC unroll 16
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) Store(block + (p * C + c) * kPanelRows, acc[p][c]);
  }
  PutAway(block, P, C, sums);
}

// One tile of C tokens times `panels` panels over one block of k.
template <PanelFormat F, int C>
static void TilePass(const uint8_t* w, int64_t panel_bytes, int64_t panels, const uint8_t* x,
                     int64_t steps, Prefetch prefetch, Sums sums) {
  constexpr int P = TilePanels(C);
  int64_t p = 0;
  const auto advance = [&](int n) {
    p += n;
    w += n * panel_bytes;
    sums.between += n * sums.panel_stride;
    sums.out += n * kPanelRows;
    sums.out_cols -= n * kPanelRows;
  };
  if (prefetch.stride != 0) {
    for (; p + P <= panels; advance(P)) {
      Tile<F, C, P, true>(w, panel_bytes, x, steps, prefetch, sums);
    }
  } else {
    for (; p + P <= panels; advance(P)) {
      Tile<F, C, P, false>(w, panel_bytes, x, steps, prefetch, sums);
    }
  }
  if constexpr (P > 1) {
    for (; p < panels; advance(1)) Tile<F, C, 1, false>(w, panel_bytes, x, steps, prefetch, sums);
  }
}

using TilePassFn = void (*)(const uint8_t*, int64_t, int64_t, const uint8_t*, int64_t, Prefetch,
                            Sums);

template <PanelFormat F>
FACET_INLINE TilePassFn TilePassFor(int tokens) {
  static constexpr TilePassFn kPasses[] = {
    TilePass<F, 1>,
    TilePass<F, 2>,
    TilePass<F, 3>,
    TilePass<F, 4>,
    TilePass<F, 5>,
    TilePass<F, 6>,
#if defined(__AVX512F__) || defined(FACET_SIMD_AVX512_SHAPES)
    TilePass<F, 7>,
    TilePass<F, 8>,
    TilePass<F, 9>,
    TilePass<F, 10>,
    TilePass<F, 11>,
    TilePass<F, 12>,
#endif
  };
  return kPasses[tokens - 1];
}

constexpr int64_t kPrefetchBytes = 4096;  // ahead of a single pass over the weights

FACET_INLINE int Larger(int a, int b) { return a > b ? a : b; }

// A group of panels at a time passes all tiles, block by block of k.
// The passes share the prefetch of the next block between them.
// Few tiles (the weights come from memory): as many panels as one pass takes, so that memory is
// read in order. The last tile may be narrower and take more panels at once: as many as that, or it
// would leave the registers half empty (4 + 3 tokens: a fifth slower).
// Many tiles: all panels of the task, which stay in the L2 cache, while a tile's block of k meets
// them all from L1.
template <PanelFormat F>
static void RunBlock(const MatMulBlock& b) {
  constexpr int64_t kBlockSteps = StepsOf(F, kBlockK);
  constexpr int64_t kTokenStepBytes = F == PanelFormat::kBf16 ? 8 : 4;
  alignas(64) float between[cpu::kMaxBetween];
  const int64_t steps = StepsOf(F, b.in);
  const int64_t panels = (b.out_cols + kPanelRows - 1) / kPanelRows;
  const int64_t tiles = (b.tokens + b.tile_tokens - 1) / b.tile_tokens;
  const bool few = tiles <= cpu::kFewTiles;
  const auto last = static_cast<int>(b.tokens - (tiles - 1) * b.tile_tokens);
  const int64_t group = few ? Larger(TilePanels(b.tile_tokens), TilePanels(last)) : panels;
  for (int64_t p = 0; p < panels; p += group) {
    const int64_t count = panels - p < group ? panels - p : group;
    for (int64_t s = 0; s < steps; s += kBlockSteps) {
      const int64_t n = steps - s < kBlockSteps ? steps - s : kBlockSteps;
      const uint8_t* w = b.weights + p * b.panel_bytes + s * kLineBytes;
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t token = t * b.tile_tokens;
        const auto width =
            static_cast<int>(b.tokens - token < b.tile_tokens ? b.tokens - token : b.tile_tokens);
        const uint8_t* x = b.x + (token * steps + s * width) * kTokenStepBytes;
        Prefetch prefetch = {0, 0};
        if (b.in_cache) {
          // nothing to fetch
        } else if (tiles == 1) {
          prefetch = {kPrefetchBytes, kLineBytes};
        } else if (s + n < steps || few) {
          prefetch = {n * kLineBytes + t * n * kLineBytes / tiles, kLineBytes / tiles};
        }
        const Sums sums = {s == 0,
                           s + n == steps,
                           between + token * kPanelRows,
                           b.tokens * kPanelRows,
                           b.out + token * b.out_stride + p * kPanelRows,
                           b.out_stride,
                           b.out_cols - p * kPanelRows};
        TilePassFor<F>(width)(w, b.panel_bytes, count, x, n, prefetch, sums);
      }
    }
  }
}

FACET_INLINE void RunMatMulBlock(const MatMulBlock& b) {
  switch (b.format) {
    case PanelFormat::kF32:
      return RunBlock<PanelFormat::kF32>(b);
    case PanelFormat::kBf16:
      return RunBlock<PanelFormat::kBf16>(b);
    case PanelFormat::kBf16Dot:
      if constexpr (kHasBf16Dot) RunBlock<PanelFormat::kBf16Dot>(b);
      return;
  }
}

// Bfloat16 pair of floats a (low half, even k) and b.
FACET_INLINE uint32_t RoundPair(float a, float b) {
  const float in[2] = {a, b};
  uint32_t bits[2];
  for (int i = 0; i < 2; ++i) {
    __builtin_memcpy(&bits[i], &in[i], 4);
    const bool nan = (bits[i] & 0x7fffffffu) > 0x7f800000u;
    bits[i] = nan ? (bits[i] >> 16 | 0x40u) : (bits[i] + 0x7fffu + (bits[i] >> 16 & 1u)) >> 16;
  }
  return bits[0] | bits[1] << 16;
}

template <int C>
static void PackFloats(const float* const* rows, int64_t in, int64_t padded, float* tile) {
  for (int c = 0; c < C; ++c) {
    const float* row = rows[c];
    for (int64_t k = 0; k < in; ++k) tile[k * C + c] = row[k];
    for (int64_t k = in; k < padded; ++k) tile[k * C + c] = 0.0f;
  }
}

static void PackPairs(const float* const* rows, int count, int64_t in, uint32_t* tile) {
  for (int c = 0; c < count; ++c) {
    const float* row = rows[c];
    for (int64_t k = 0; k + 1 < in; k += 2) {
      tile[k / 2 * count + c] = RoundPair(row[k], row[k + 1]);
    }
    if (in % 2 != 0) tile[in / 2 * count + c] = RoundPair(row[in - 1], 0.0f);
  }
}

static void PackTileOf(PanelFormat format, const float* const* rows, int count, int64_t in,
                       uint8_t* tile) {
  if (format == PanelFormat::kBf16Dot) {
    return PackPairs(rows, count, in, reinterpret_cast<uint32_t*>(tile));
  }
  auto* out = reinterpret_cast<float*>(tile);
  const int64_t padded = format == PanelFormat::kF32 ? in : (in + 1) / 2 * 2;
  switch (count) {
    case 1:
      return PackFloats<1>(rows, in, padded, out);
    case 2:
      return PackFloats<2>(rows, in, padded, out);
    case 3:
      return PackFloats<3>(rows, in, padded, out);
    case 4:
      return PackFloats<4>(rows, in, padded, out);
    case 5:
      return PackFloats<5>(rows, in, padded, out);
    case 6:
      return PackFloats<6>(rows, in, padded, out);
    case 7:
      return PackFloats<7>(rows, in, padded, out);
    case 8:
      return PackFloats<8>(rows, in, padded, out);
    case 9:
      return PackFloats<9>(rows, in, padded, out);
    case 10:
      return PackFloats<10>(rows, in, padded, out);
    case 11:
      return PackFloats<11>(rows, in, padded, out);
    case 12:
      return PackFloats<12>(rows, in, padded, out);
  }
}

}  // namespace facet::SIMD_NS

#endif  // FACET_KERNELS_CPU_MATMUL_TILE_H_
