// MatMul kernels in plain C++, sums in double.

#include <cstring>

#include "base/dtype.h"
#include "kernels/cpu/matmul_kernels.h"

namespace facet::reference {
namespace {

using cpu::Element;
using cpu::kLineBytes;
using cpu::kPanelRows;
using cpu::MatMulBlock;
using cpu::PackedTokenBytes;
using cpu::PanelFormat;
using cpu::StepsOf;

float WeightAt(PanelFormat format, const uint8_t* panel, int row, int64_t k) {
  if (format == PanelFormat::kF32) {
    return reinterpret_cast<const float*>(panel)[k * kPanelRows + row];
  }
  const auto* pairs = reinterpret_cast<const uint16_t*>(panel);
  return Bf16ToFloat(pairs[(k / 2 * kPanelRows + row) * 2 + k % 2]);
}

void PackTile(PanelFormat format, const float* const* rows, int count, int64_t in, uint8_t* tile) {
  auto* out = reinterpret_cast<float*>(tile);
  const int64_t padded = PackedTokenBytes(format, in) / 4;
  for (int64_t k = 0; k < padded; ++k) {
    for (int c = 0; c < count; ++c) out[k * count + c] = k < in ? rows[c][k] : 0.0f;
  }
}

void Run(const MatMulBlock& b) {
  const int64_t token_floats = PackedTokenBytes(b.format, b.in) / 4;
  for (int64_t first = 0; first < b.tokens; first += b.tile_tokens) {
    const int64_t width = b.tokens - first < b.tile_tokens ? b.tokens - first : b.tile_tokens;
    const float* tile = reinterpret_cast<const float*>(b.x) + first * token_floats;
    for (int64_t c = 0; c < width; ++c) {
      for (int64_t n = 0; n < b.out_cols; ++n) {
        const uint8_t* panel = b.weights + n / kPanelRows * b.panel_bytes;
        const int row = static_cast<int>(n % kPanelRows);
        double sum = 0;
        for (int64_t k = 0; k < b.in; ++k) {
          sum += double{tile[k * width + c]} * WeightAt(b.format, panel, row, k);
        }
        b.out[(first + c) * b.out_stride + n] = static_cast<float>(sum);
      }
    }
  }
}

float ElementAt(const uint8_t* row, Element element, int64_t i) {
  if (element == Element::kF32) {
    float x;
    std::memcpy(&x, row + 4 * i, sizeof(x));
    return x;
  }
  uint16_t x;
  std::memcpy(&x, row + 2 * i, sizeof(x));
  return element == Element::kBf16 ? Bf16ToFloat(x) : F16ToFloat(x);
}

void PackPanel(PanelFormat format, const uint8_t* const* rows, Element element, int64_t in,
               uint8_t* panel) {
  std::memset(panel, 0, static_cast<size_t>(StepsOf(format, in) * kLineBytes));
  for (int r = 0; r < kPanelRows; ++r) {
    if (rows[r] == nullptr) continue;
    for (int64_t k = 0; k < in; ++k) {
      const float x = ElementAt(rows[r], element, k);
      if (format == PanelFormat::kF32) {
        reinterpret_cast<float*>(panel)[k * kPanelRows + r] = x;
      } else {
        reinterpret_cast<uint16_t*>(panel)[(k / 2 * kPanelRows + r) * 2 + k % 2] = FloatToBf16(x);
      }
    }
  }
}

}  // namespace

extern const cpu::MatMulKernels kMatMulKernels;
const cpu::MatMulKernels kMatMulKernels = {/*max_tile_tokens=*/4, /*bf16_dot=*/false, PackTile, Run,
                                           PackPanel};

}  // namespace facet::reference
