// MatMul kernels of one level.

#include "kernels/cpu/matmul_tile.h"
#include "kernels/cpu/panel_pack.h"

namespace facet::SIMD_NS {
namespace {

void Run(const MatMulBlock& block) { RunMatMulBlock(block); }

void PackTile(PanelFormat format, const float* const* rows, int count, int64_t in, uint8_t* tile) {
  PackTileOf(format, rows, count, in, tile);
}

void PackPanel(PanelFormat format, const uint8_t* const* rows, Element element, int64_t in,
               uint8_t* panel) {
  if (format == PanelFormat::kF32) {
    PackPanelOf<PanelFormat::kF32, true>(element, rows, in, panel);
  } else {
    PackPanelOf<PanelFormat::kBf16, true>(element, rows, in, panel);
  }
  _mm_sfence();
}

}  // namespace

extern const cpu::MatMulKernels kMatMulKernels;
const cpu::MatMulKernels kMatMulKernels = {kMaxTileTokens, kHasBf16Dot, PackTile, Run, PackPanel};

}  // namespace facet::SIMD_NS
