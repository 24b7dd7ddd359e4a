#ifndef FACET_SERVICES_VISION_EXIF_ORIENTATION_H_
#define FACET_SERVICES_VISION_EXIF_ORIENTATION_H_

#include <cstdint>

#include "absl/types/span.h"
#include "services/vision/rgb_image.h"

namespace facet {

// The orientation, 1..8, of an EXIF block (a TIFF header and its first directory; a leading
// "Exif\0\0" is skipped). 1, which is upright, for a block that lacks it or is malformed: a broken
// note does not make an image unreadable.
int ExifOrientation(absl::Span<const uint8_t> exif);

// The image as it is meant to be looked at.
RgbImage Upright(RgbImage stored, int orientation);

}  // namespace facet

#endif  // FACET_SERVICES_VISION_EXIF_ORIENTATION_H_
