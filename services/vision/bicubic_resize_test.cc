#include "services/vision/bicubic_resize.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "gtest/gtest.h"

namespace facet {
namespace {

RgbImage RandomImage(int height, int width, uint32_t seed) {
  std::mt19937 random(seed);
  RgbImage image(height, width);
  for (uint8_t& value : image.pixels) value = random() & 0xff;
  return image;
}

double Cubic(double x) {
  x = std::abs(x);
  if (x < 1) return 1.5 * x * x * x - 2.5 * x * x + 1;
  return x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
}

// The definition, in double, along one axis of `in` values that are `stride` apart.
double Sample(const std::vector<double>& from, int64_t first, int64_t stride, int in, int out,
              int i) {
  const double scale = static_cast<double>(in) / out, stretch = std::max(scale, 1.0);
  const double center = (i + 0.5) * scale;
  const int begin = std::max(static_cast<int>(center - 2 * stretch + 0.5), 0);
  const int end = std::min(static_cast<int>(center + 2 * stretch + 0.5), in);
  double sum = 0, weights = 0;
  for (int j = begin; j < end; ++j) {
    const double weight = Cubic((j - center + 0.5) / stretch);
    sum += weight * from[first + j * stride];
    weights += weight;
  }
  return std::clamp(std::floor(sum / weights + 0.5), 0.0, 255.0);
}

std::vector<double> Reference(const RgbImage& image, const ImageSize& size) {
  const std::vector<double> in(image.pixels.begin(), image.pixels.end());
  std::vector<double> columns, out;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < size.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        columns.push_back(
            Sample(in, int64_t{y} * image.width * 3 + c, 3, image.width, size.width, x));
      }
    }
  }
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width * 3; ++x) {
      out.push_back(Sample(columns, x, int64_t{size.width} * 3, image.height, size.height, y));
    }
  }
  return out;
}

TEST(BicubicResizeTest, IsTheDefinitionUpToTheRoundingOfItsWeights) {
  const ImageSize kSizes[][2] = {{{7, 9}, {48, 48}},  {{90, 61}, {48, 96}}, {{50, 50}, {50, 20}},
                                 {{1, 1}, {48, 48}},  {{3, 200}, {48, 96}}, {{130, 2}, {96, 48}},
                                 {{33, 48}, {96, 48}}};
  uint32_t seed = 1;
  for (const auto& [from, to] : kSizes) {
    const RgbImage image = RandomImage(from.height, from.width, ++seed);
    const RgbImage got = ResizeBicubic(image, to);
    ASSERT_EQ(got.height, to.height);
    ASSERT_EQ(got.width, to.width);
    const std::vector<double> want = Reference(image, to);
    ASSERT_EQ(got.pixels.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      // A sum within 2^-20 of a half may round the other way, in both passes.
      ASSERT_LE(std::abs(got.pixels[i] - want[i]), 1) << from.height << " x " << from.width;
    }
  }
}

TEST(BicubicResizeTest, AnImageOfThatSizeStaysAsItIs) {
  const RgbImage image = RandomImage(48, 96, 5);
  EXPECT_EQ(ResizeBicubic(image, {48, 96}).pixels, image.pixels);
}

}  // namespace
}  // namespace facet
