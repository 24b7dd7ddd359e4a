#ifndef FACET_KERNELS_CPU_ATTENTION_KERNELS_H_
#define FACET_KERNELS_CPU_ATTENTION_KERNELS_H_

// The inner part of attention, once per CPU level. No header with inline functions may be included
// here (see simd.h).
//
// Keys come in tiles of kTileKeys consecutive positions that start at multiples of kTileKeys. A
// column (one query head of one token) meets each tile of its visible range by itself, which gives
// a partial result: the largest score, the sum of exp(score - largest), and the sum of
// exp(score - largest) * value. Partial results are merged in rising order of tiles (Milakov &
// Gimelshein 2018, arXiv:1805.02867). So a column's result depends on positions and contents alone.

#include <stdint.h>

#include "kernels/cpu/matmul_kernels.h"

namespace facet::cpu {

constexpr int kTileKeys = 256;
constexpr int kMaxColumns = 128;

// The columns that share a KV head, against one tile.
struct AttentionTile {
  Element element;  // of keys and values
  int head_dim;
  // [kTileKeys]; null where no column may look. Rows of kInt8 and kF8 end in their scale.
  const uint8_t* const* k_rows;
  const uint8_t* const* v_rows;
  int columns;                  // <= kMaxColumns
  const float* const* queries;  // [columns]
  const int16_t* begin;         // [columns] visible keys of the tile: begin[c] <= key < end[c];
  const int16_t* end;           // none where begin[c] >= end[c]
  float* max;                   // out: [columns]
  float* sum;                   // out: [columns]; 0: no visible key
  float* out;                   // out: [columns, head_dim], dense
  uint8_t* scratch;             // AttentionScratchBytes, aligned to 64
};

constexpr int64_t AttentionScratchBytes(int head_dim) {
  const int64_t dim = (head_dim + 15) / 16 * 16;
  // packed queries, 64 packed keys, packed values (a spare line per panel), scores, packed scores
  return kMaxColumns * dim * 4 + 64 * dim * 4 + (kTileKeys + 1) * dim * 4 +
         kMaxColumns * (kTileKeys + 16) * 4 + kMaxColumns * kTileKeys * 4;
}

// One column's result so far. sum 0: none yet.
struct AttentionState {
  float* max;
  float* sum;
  float* out;  // [head_dim]
};

struct AttentionKernels {
  void (*attend)(const AttentionTile& tile);
  // Takes a later tile's partial result into `state`.
  void (*merge)(float max, float sum, const float* out, int head_dim, const AttentionState& state);
};

}  // namespace facet::cpu

#endif  // FACET_KERNELS_CPU_ATTENTION_KERNELS_H_
