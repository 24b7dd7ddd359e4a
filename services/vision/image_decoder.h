#ifndef FACET_SERVICES_VISION_IMAGE_DECODER_H_
#define FACET_SERVICES_VISION_IMAGE_DECODER_H_

// An image file's bytes to pixels, as the reference's processor sees them (Pillow): turned by the
// EXIF orientation, alpha dropped without blending, grey and palettes expanded, of an animation the
// first frame. Samples of 16 bits keep their high byte.

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/vision/image_limits.h"
#include "services/vision/rgb_image.h"

namespace facet {

enum class ImageFormat { kUnknown, kJpeg, kPng, kWebp, kGif };

// By the first bytes; what the caller calls the file does not matter.
ImageFormat SniffImageFormat(absl::Span<const uint8_t> bytes);

// JPEG, PNG, WebP or GIF. InvalidArgument says what is wrong: an unknown format (with the formats
// there are), a limit (with the numbers), or what the decoder found, a cut-off file among it.
// Thread-safe.
absl::StatusOr<RgbImage> DecodeImage(absl::Span<const uint8_t> bytes, const ImageLimits& limits);

}  // namespace facet

#endif  // FACET_SERVICES_VISION_IMAGE_DECODER_H_
