#ifndef FACET_SERVICES_VISION_IMAGE_LIMITS_H_
#define FACET_SERVICES_VISION_IMAGE_LIMITS_H_

#include <cstdint>

#include "absl/status/status.h"

namespace facet {

// What an image file may ask of us. Checked against the file's header, before pixels are decoded.
struct ImageLimits {
  int64_t max_bytes = 64 << 20;   // of the file
  int64_t max_pixels = 64 << 20;  // width x height
  // Decoded bytes for each byte of the file, where they come to more than `max_ratio_from` bytes: a
  // small file that unpacks to a large picture of nothing.
  int64_t max_ratio = 400;
  int64_t max_ratio_from = 48 << 20;

  // InvalidArgument, with value and limit. `width` and `height` as the header has them.
  absl::Status CheckSize(int64_t width, int64_t height, int64_t file_bytes) const;
};

}  // namespace facet

#endif  // FACET_SERVICES_VISION_IMAGE_LIMITS_H_
