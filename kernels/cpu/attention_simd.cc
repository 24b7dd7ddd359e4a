// Attention kernels of one level: both products are MatMul's, over keys and values that are packed
// into panels tile by tile.

#include "kernels/cpu/attention_kernels.h"
#include "kernels/cpu/matmul_tile.h"
#include "kernels/cpu/panel_pack.h"
#include "kernels/cpu/simd.h"

namespace facet::SIMD_NS {
namespace {

using cpu::AttentionState;
using cpu::AttentionTile;
using cpu::kMaxColumns;
using cpu::kTileKeys;
using cpu::PackedTokenBytes;

constexpr int kChunkKeys = 64;                // packed and multiplied at a time
constexpr int kScoreStride = kTileKeys + 16;  // not a power of two: rows in different cache sets

// The tile's buffers, and the range of its keys that any column sees, in whole vectors.
struct Work {
  uint8_t* queries;
  uint8_t* keys;
  uint8_t* values;
  float* scores;  // [columns][kScoreStride], column 0 is the tile's first key
  uint8_t* weights;
  int first, last;
  int tile_tokens;
  // Of the keys from `first` to `last`, where rows have scales: those of K count in the scores,
  // those of V in the weights, once for each key instead of each element.
  float k_scales[kTileKeys];
  float v_scales[kTileKeys];
};

FACET_INLINE int Smaller(int a, int b) { return a < b ? a : b; }

void CollectScales(const AttentionTile& tile, Work& work) {
  for (int key = work.first; key < work.last; ++key) {
    work.k_scales[key] = work.v_scales[key] = 0;
    if (tile.k_rows[key] == nullptr) continue;
    __builtin_memcpy(&work.k_scales[key], tile.k_rows[key] + tile.head_dim, sizeof(float));
    __builtin_memcpy(&work.v_scales[key], tile.v_rows[key] + tile.head_dim, sizeof(float));
  }
}

void Prepare(const AttentionTile& tile, Work& work) {
  const int64_t dim = (tile.head_dim + 15) / 16 * 16;
  work.queries = tile.scratch;
  work.keys = work.queries + kMaxColumns * dim * 4;
  work.values = work.keys + kChunkKeys * dim * 4;
  work.scores = reinterpret_cast<float*>(work.values + (kTileKeys + 1) * dim * 4);
  work.weights = reinterpret_cast<uint8_t*>(work.scores + kMaxColumns * kScoreStride);
  work.first = kTileKeys;
  work.last = 0;
  for (int c = 0; c < tile.columns; ++c) {
    if (tile.begin[c] >= tile.end[c]) continue;
    work.first = Smaller(work.first, tile.begin[c]);
    work.last = Larger(work.last, tile.end[c]);
  }
  work.first = work.first / kLanes * kLanes;
  work.last = (work.last + kLanes - 1) / kLanes * kLanes;
  const int tiles = (tile.columns + kMaxTileTokens - 1) / kMaxTileTokens;
  work.tile_tokens = (tile.columns + tiles - 1) / tiles;
  if (IsByte(tile.element)) CollectScales(tile, work);
}

// Packs the columns' rows into MatMul tiles.
void PackColumns(PanelFormat format, const float* const* rows, int columns, int tile_tokens,
                 int64_t in, uint8_t* out) {
  for (int c = 0; c < columns; c += tile_tokens) {
    PackTileOf(format, rows + c, Smaller(tile_tokens, columns - c), in,
               out + c * PackedTokenBytes(format, in));
  }
}

template <PanelFormat F, Element E>
void Scores(const AttentionTile& tile, const Work& work) {
  PackColumns(F, tile.queries, tile.columns, work.tile_tokens, tile.head_dim, work.queries);
  MatMulBlock block = {};
  block.format = F;
  block.weights = work.keys;
  block.panel_bytes = StepsOf(F, tile.head_dim) * kLineBytes;
  block.in = tile.head_dim;
  block.x = work.queries;
  block.tokens = tile.columns;
  block.tile_tokens = work.tile_tokens;
  block.in_cache = true;
  block.out_stride = kScoreStride;
  for (int key = work.first; key < work.last; key += kChunkKeys) {
    const int count = Smaller(kChunkKeys, work.last - key);
    for (int i = 0; i < count; i += kPanelRows) {
      PackRows<F, E, false>(tile.k_rows + key + i, tile.head_dim,
                            work.keys + i / kPanelRows * block.panel_bytes);
    }
    block.out_cols = count;
    block.out = work.scores + key;
    RunBlock<F>(block);
  }
}

// Scores to weights: exp(score - max) where the column may look, 0 elsewhere.
template <bool kScaled>
void Softmax(const AttentionTile& tile, const Work& work) {
  const F32 iota = {
#if defined(__AVX512F__)
    _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#else
    _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7),
    _mm256_setr_ps(8, 9, 10, 11, 12, 13, 14, 15)
#endif
  };
  const F32 nothing = Set(-__builtin_inff());
  for (int c = 0; c < tile.columns; ++c) {
    float* scores = work.scores + static_cast<int64_t>(c) * kScoreStride;
    const F32 begin = Set(tile.begin[c]), end = Set(tile.end[c]);
    if (tile.begin[c] >= tile.end[c]) {
      for (int key = work.first; key < work.last; key += kLanes) Store(scores + key, Zero());
      tile.max[c] = -__builtin_inff();
      tile.sum[c] = 0;
      continue;
    }
    F32 max = nothing;
    for (int key = work.first; key < work.last; key += kLanes) {
      const F32 index = Add(iota, Set(static_cast<float>(key)));
      F32 s = Load(scores + key);
      if constexpr (kScaled) s = Mul(s, Load(work.k_scales + key));
      s = SelectLess(index, begin, nothing, SelectLess(index, end, s, nothing));
      Store(scores + key, s);
      max = Max(max, s);
    }
    const float largest = ReduceMax(max);
    F32 sum = Zero();
    for (int key = work.first; key < work.last; key += kLanes) {
      const F32 p = Exp(Sub(Load(scores + key), Set(largest)));
      Store(scores + key, kScaled ? Mul(p, Load(work.v_scales + key)) : p);
      sum = Add(sum, p);
    }
    tile.max[c] = largest;
    tile.sum[c] = ReduceAdd(sum);
  }
}

// Sixteen elements of a row, or the first `lanes`, as bfloat16.
template <Element E>
FACET_INLINE __m256i LoadAsBf16(const uint8_t* p, int lanes) {
  if constexpr (IsByte(E)) {
    return CodesToBf16<E>(lanes == kLanes ? LoadU8(p) : LoadU8Part(p, lanes));
  }
  return lanes == kLanes ? LoadU16(p) : LoadU16Part(p, lanes);
}

// Values [key][dim] to panels of 16 dims: [dim / 16][key][16], for bfloat16 with pairs of keys.
template <Element E>
void PackValues(const AttentionTile& tile, const Work& work, int64_t panel_bytes) {
  constexpr int keys_per_line = E == Element::kF32 ? 1 : 2;
  for (int key = work.first; key < work.last; key += keys_per_line) {
    uint8_t* line = work.values + (key - work.first) / keys_per_line * kLineBytes;
    const uint8_t *a = tile.v_rows[key], *b = tile.v_rows[key + keys_per_line - 1];
    for (int d = 0; d < tile.head_dim; d += kLanes, line += panel_bytes) {
      const int lanes = Smaller(kLanes, tile.head_dim - d);
      if constexpr (E == Element::kF32) {
        const auto* row = reinterpret_cast<const float*>(a) + d;
        const F32 v = a == nullptr ? Zero() : lanes == kLanes ? Load(row) : LoadPart(row, lanes);
        Store(reinterpret_cast<float*>(line), v);
      } else {
        __m256i x = _mm256_setzero_si256(), y = x;
        if (a) x = LoadAsBf16<E>(a + ElementBytes(E) * d, lanes);
        if (b) y = LoadAsBf16<E>(b + ElementBytes(E) * d, lanes);
        const __m256i lo = _mm256_unpacklo_epi16(x, y), hi = _mm256_unpackhi_epi16(x, y);
        auto* out = reinterpret_cast<__m256i*>(line);
        _mm256_store_si256(out, _mm256_permute2x128_si256(lo, hi, 0x20));
        _mm256_store_si256(out + 1, _mm256_permute2x128_si256(lo, hi, 0x31));
      }
    }
  }
}

template <PanelFormat F, Element E>
void Values(const AttentionTile& tile, const Work& work) {
  const int64_t keys = work.last - work.first;
  const int64_t panel_bytes = (StepsOf(F, keys) + 1) * kLineBytes;  // odd: see kScoreStride
  PackValues<E>(tile, work, panel_bytes);
  const float* rows[kMaxColumns];
  for (int c = 0; c < tile.columns; ++c) rows[c] = work.scores + c * kScoreStride + work.first;
  PackColumns(F, rows, tile.columns, work.tile_tokens, keys, work.weights);
  MatMulBlock block = {};
  block.format = F;
  block.weights = work.values;
  block.panel_bytes = panel_bytes;
  block.in = keys;
  block.out_cols = tile.head_dim;
  block.x = work.weights;
  block.tokens = tile.columns;
  block.tile_tokens = work.tile_tokens;
  block.in_cache = true;
  block.out = tile.out;
  block.out_stride = tile.head_dim;
  RunBlock<F>(block);
}

template <PanelFormat F, Element E>
void AttendTo(const AttentionTile& tile, const Work& work) {
  Scores<F, E>(tile, work);
  Softmax<IsByte(E)>(tile, work);
  Values<F, E>(tile, work);
}

void Attend(const AttentionTile& tile) {
  Work work;
  Prepare(tile, work);
  if (work.first >= work.last) {
    for (int c = 0; c < tile.columns; ++c) tile.sum[c] = 0;
    return;
  }
  switch (tile.element) {
    case Element::kF32:
      return AttendTo<PanelFormat::kF32, Element::kF32>(tile, work);
    case Element::kBf16:
      return AttendTo<PanelFormat::kBf16, Element::kBf16>(tile, work);
    case Element::kInt8:
      return AttendTo<PanelFormat::kBf16, Element::kInt8>(tile, work);
    case Element::kF8:
      return AttendTo<PanelFormat::kBf16, Element::kF8>(tile, work);
    case Element::kF16:
      return;  // never in pages
  }
}

void Merge(float max, float sum, const float* out, int head_dim, const AttentionState& state) {
  if (sum == 0) return;
  const bool empty = *state.sum == 0;
  const float largest = empty || max > *state.max ? max : *state.max;
  float factors[kLanes];
  Store(factors, Exp(Sub(Set(max), Set(largest))));
  const F32 theirs = Set(factors[0]);
  Store(factors, Exp(Sub(Set(empty ? largest : *state.max), Set(largest))));
  const F32 ours = Set(factors[0]);
  float sums[kLanes];
  Store(sums, Fma(Set(sum), theirs, Mul(Set(*state.sum), ours)));
  *state.max = largest;
  *state.sum = sums[0];
  for (int d = 0; d < head_dim; d += kLanes) {
    const int lanes = Smaller(kLanes, head_dim - d);
    const F32 o = empty ? Zero() : LoadPart(state.out + d, lanes);
    StorePart(state.out + d, Fma(LoadPart(out + d, lanes), theirs, Mul(o, ours)), lanes);
  }
}

}  // namespace

extern const cpu::AttentionKernels kAttentionKernels;
const cpu::AttentionKernels kAttentionKernels = {Attend, Merge};

}  // namespace facet::SIMD_NS
