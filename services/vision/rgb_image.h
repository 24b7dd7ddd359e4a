#ifndef FACET_SERVICES_VISION_RGB_IMAGE_H_
#define FACET_SERVICES_VISION_RGB_IMAGE_H_

#include <cstdint>
#include <vector>

namespace facet {

// Pixels [height, width, 3], R G B, 8 bits each.
struct RgbImage {
  int height = 0;
  int width = 0;
  std::vector<uint8_t> pixels;

  RgbImage() = default;
  RgbImage(int h, int w) : height(h), width(w), pixels(static_cast<size_t>(h) * w * 3) {}

  uint8_t* row(int y) { return pixels.data() + static_cast<size_t>(y) * width * 3; }
  const uint8_t* row(int y) const { return pixels.data() + static_cast<size_t>(y) * width * 3; }
};

}  // namespace facet

#endif  // FACET_SERVICES_VISION_RGB_IMAGE_H_
