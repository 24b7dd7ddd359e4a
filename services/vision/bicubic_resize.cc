#include "services/vision/bicubic_resize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace facet {
namespace {

constexpr int kFractionBits = 22;  // of a weight
constexpr int32_t kHalf = 1 << (kFractionBits - 1);

// What one output pixel of an axis is made of: inputs [first, first + count) with these weights.
struct Taps {
  int first = 0;
  int count = 0;
  const int32_t* weights = nullptr;
};

double Cubic(double x) {
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

// The taps of every output of an axis of `in` pixels that becomes one of `out`.
class AxisTaps {
 public:
  AxisTaps(int in, int out) {
    const double scale = static_cast<double>(in) / out;
    const double stretch = std::max(scale, 1.0);
    const double support = 2 * stretch;
    const int most = static_cast<int>(std::ceil(support)) * 2 + 1;
    weights_.resize(static_cast<size_t>(out) * most);
    std::vector<double> exact(static_cast<size_t>(most));
    for (int i = 0; i < out; ++i) {
      const double center = (i + 0.5) * scale;
      Taps taps;
      taps.first = std::max(static_cast<int>(center - support + 0.5), 0);
      taps.count = std::min(static_cast<int>(center + support + 0.5), in) - taps.first;
      double sum = 0;
      for (int j = 0; j < taps.count; ++j) {
        exact[j] = Cubic((j + taps.first - center + 0.5) * (1 / stretch));
        sum += exact[j];
      }
      int32_t* const weights = weights_.data() + static_cast<size_t>(i) * most;
      for (int j = 0; j < taps.count; ++j)
        weights[j] = Rounded(sum != 0 ? exact[j] / sum : exact[j]);
      taps.weights = weights;
      taps_.push_back(taps);
    }
  }

  const Taps& operator[](int i) const { return taps_[static_cast<size_t>(i)]; }

 private:
  static int32_t Rounded(double weight) {
    const double scaled = weight * (1 << kFractionBits);
    return static_cast<int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
  }

  std::vector<int32_t> weights_;
  std::vector<Taps> taps_;
};

uint8_t ToByte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

RgbImage ResizeColumns(const RgbImage& image, int width) {
  const AxisTaps axis(image.width, width);
  RgbImage out(image.height, width);
  for (int y = 0; y < image.height; ++y) {
    const uint8_t* const in = image.row(y);
    uint8_t* to = out.row(y);
    for (int x = 0; x < width; ++x, to += 3) {
      const Taps& taps = axis[x];
      const uint8_t* from = in + 3 * taps.first;
      int32_t sum[3] = {kHalf, kHalf, kHalf};
      for (int j = 0; j < taps.count; ++j, from += 3) {
        for (int c = 0; c < 3; ++c) sum[c] += taps.weights[j] * from[c];
      }
      for (int c = 0; c < 3; ++c) to[c] = ToByte(sum[c]);
    }
  }
  return out;
}

RgbImage ResizeRows(const RgbImage& image, int height) {
  const AxisTaps axis(image.height, height);
  RgbImage out(height, image.width);
  const size_t bytes = static_cast<size_t>(image.width) * 3;
  std::vector<int32_t> sums(bytes);
  for (int y = 0; y < height; ++y) {
    const Taps& taps = axis[y];
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int j = 0; j < taps.count; ++j) {
      const uint8_t* const from = image.row(taps.first + j);
      const int32_t weight = taps.weights[j];
      for (size_t i = 0; i < bytes; ++i) sums[i] += weight * from[i];
    }
    uint8_t* const to = out.row(y);
    for (size_t i = 0; i < bytes; ++i) to[i] = ToByte(sums[i]);
  }
  return out;
}

}  // namespace

RgbImage ResizeBicubic(RgbImage image, const ImageSize& size) {
  if (image.width != size.width) image = ResizeColumns(image, size.width);
  if (image.height != size.height) image = ResizeRows(image, size.height);
  return image;
}

}  // namespace facet
