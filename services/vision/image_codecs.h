#ifndef FACET_SERVICES_VISION_IMAGE_CODECS_H_
#define FACET_SERVICES_VISION_IMAGE_CODECS_H_

// One decoder a format, each over its library. Errors as DecodeImage (image_decoder.h). None of the
// libraries' own error exits or messages gets out.

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/vision/image_limits.h"
#include "services/vision/rgb_image.h"

namespace facet {

struct DecodedImage {
  RgbImage image;       // as stored
  int orientation = 1;  // EXIF's, 1..8; 1: upright
};

absl::StatusOr<DecodedImage> DecodeJpeg(absl::Span<const uint8_t> bytes, const ImageLimits& limits);
absl::StatusOr<DecodedImage> DecodePng(absl::Span<const uint8_t> bytes, const ImageLimits& limits);
absl::StatusOr<DecodedImage> DecodeWebp(absl::Span<const uint8_t> bytes, const ImageLimits& limits);
absl::StatusOr<DecodedImage> DecodeGif(absl::Span<const uint8_t> bytes, const ImageLimits& limits);

}  // namespace facet

#endif  // FACET_SERVICES_VISION_IMAGE_CODECS_H_
