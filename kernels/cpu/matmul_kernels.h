#ifndef FACET_KERNELS_CPU_MATMUL_KERNELS_H_
#define FACET_KERNELS_CPU_MATMUL_KERNELS_H_

// The inner part of matrix multiplication, once per CPU level. No header with inline functions may
// be included here (see simd.h).
//
// A weight matrix [out, in] lies in panels of 16 rows. A *step* is what one 64-byte line of a panel
// holds: one k of 16 rows in float32, two in bfloat16 (pairs along k). Activations are packed into
// *tiles* of a few tokens, [step][token] within a tile, so that a kernel reads both streams in
// order. A tile's products with one panel stay in registers.
//
// Order of the sum for each element, at every tile size: k runs in blocks of kBlockK from 0; within
// a block, one chain of fused multiply-adds in rising k; the blocks' sums are added in order.

#include <stdint.h>

namespace facet::cpu {

enum class PanelFormat { kF32, kBf16, kBf16Dot };
// Of stored rows. The last two, of one byte, occur in KV pages only.
enum class Element { kF32, kBf16, kF16, kInt8, kF8 };

constexpr int kPanelRows = 16;
constexpr int kLineBytes = 64;
constexpr int kBlockK = 512;
constexpr int kFewTiles = 4;        // up to here a task's time is that of its weights
constexpr int kMaxBetween = 16384;  // floats that a task keeps from one block of k to the next

inline constexpr int64_t StepsOf(PanelFormat format, int64_t in) {
  return format == PanelFormat::kF32 ? in : (in + 1) / 2;
}
// Bytes of one packed token (a multiple of 4): the tile of `n` tokens has n times as many.
inline constexpr int64_t PackedTokenBytes(PanelFormat format, int64_t in) {
  return StepsOf(format, in) * (format == PanelFormat::kBf16 ? 8 : 4);
}

// A block of panels times a run of tokens: one task. Where `in` exceeds kBlockK and there are more
// than kFewTiles tiles, panels * 16 * tokens must not exceed kMaxBetween.
struct MatMulBlock {
  PanelFormat format;
  const uint8_t* weights;  // the first panel
  int64_t panel_bytes;     // from one panel to the next
  int64_t in;
  int64_t out_cols;  // rows in these panels: 16 each, the last may have fewer
  const uint8_t* x;  // packed tiles, back to back
  int64_t tokens;
  int tile_tokens;  // tokens in each tile but the last, in [1, max_tile_tokens]
  bool in_cache;    // the weights lie in a cache already
  float* out;       // [tokens, out_cols]
  int64_t out_stride;
};

struct MatMulKernels {
  int max_tile_tokens;
  bool bf16_dot;  // kBf16Dot may be used; elsewhere kBf16 takes its place
  // Packs `count` rows of `in` floats into one tile; what lies beyond an odd `in` becomes 0.
  void (*pack_tile)(PanelFormat format, const float* const* rows, int count, int64_t in,
                    uint8_t* tile);
  void (*run)(const MatMulBlock& block);
  // Packs 16 rows of weights (null: zeros) of one element type into a panel, which must be aligned
  // to 64 bytes. `rows` need no alignment.
  void (*pack_panel)(PanelFormat format, const uint8_t* const* rows, Element element, int64_t in,
                     uint8_t* panel);
};

}  // namespace facet::cpu

#endif  // FACET_KERNELS_CPU_MATMUL_KERNELS_H_
