#include "services/audio/subsampling.h"

#include <algorithm>

#include "base/status_macros.h"
#include "kernels/ops/gates.h"
#include "kernels/ops/matmul.h"

namespace facet {
namespace {

constexpr int kBlockFrames = 32;  // of the output, at a time: bounds the unfolded input

// The 9 x channels inputs of each output position of frames [first, first + count).
void Unfold(const FrameMap& in, int first, int count, int out_bands, const Tensor& out) {
  std::fill_n(out.f32(), out.rows * out.row_stride, 0.0f);
  int64_t row = 0;
  for (int frame = first; frame < first + count; ++frame) {
    for (int band = 0; band < out_bands; ++band, ++row) {
      for (int k = 0; k < 9; ++k) {
        const int f = 2 * frame + k / 3 - 1, b = 2 * band + k % 3 - 1;
        if (f < 0 || f >= in.frames || b < 0 || b >= in.bands) continue;
        std::copy_n(in.values.data() + (int64_t{f} * in.bands + b) * in.channels, in.channels,
                    out.f32(row) + int64_t{k} * in.channels);
      }
    }
  }
}

}  // namespace

absl::StatusOr<FrameMap> Subsample(Backend& backend, const FrameMap& in,
                                   const SubsamplingWeights& weights, float eps) {
  FrameMap out;
  out.frames = (in.frames + 1) / 2;
  out.bands = (in.bands + 1) / 2;
  out.channels = static_cast<int>(weights.norm.size());
  out.values.resize(int64_t{out.frames} * out.bands * out.channels);
  const int64_t columns = int64_t{9} * in.channels;
  FACET_ASSIGN_OR_RETURN(
      const Buffer unfolded,
      backend.Allocate(static_cast<size_t>(kBlockFrames * out.bands * columns * 4)));
  for (int first = 0; first < out.frames; first += kBlockFrames) {
    const int count = std::min(kBlockFrames, out.frames - first);
    const int64_t rows = int64_t{count} * out.bands;
    const Tensor x = unfolded.View(rows, columns);
    Unfold(in, first, count, out.bands, x);
    float* const to = out.values.data() + int64_t{first} * out.bands * out.channels;
    ops::MatMul(backend, x, weights.conv, {to, DType::kF32, rows, out.channels, out.channels});
  }
  const Tensor positions = {out.values.data(), DType::kF32, int64_t{out.frames} * out.bands,
                            out.channels, out.channels};
  ops::LayerNormRelu(backend, weights.norm.data(), eps, positions);
  return out;
}

}  // namespace facet
