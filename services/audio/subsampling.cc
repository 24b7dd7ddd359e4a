#include "services/audio/subsampling.h"

#include <algorithm>
#include <cmath>

#include "base/status_macros.h"
#include "kernels/cpu/parallel_rows.h"
#include "kernels/ops/matmul.h"
#include "services/encoder/host_threads.h"

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

// In place, over one position's channels.
void NormAndRelu(const std::vector<float>& weight, float eps, float* x) {
  const auto n = static_cast<int64_t>(weight.size());
  double mean = 0, square = 0;
  for (int64_t i = 0; i < n; ++i) mean += x[i];
  mean /= static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) square += (x[i] - mean) * (x[i] - mean);
  const double scale = 1 / std::sqrt(square / static_cast<double>(n) + eps);
  for (int64_t i = 0; i < n; ++i) {
    x[i] = std::max(0.0f, static_cast<float>((x[i] - mean) * scale * weight[i]));
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
  cpu::ParallelRows(
      HostThreads(backend), int64_t{out.frames} * out.bands, out.channels,
      [&](int64_t i) { NormAndRelu(weights.norm, eps, out.values.data() + i * out.channels); });
  return out;
}

}  // namespace facet
