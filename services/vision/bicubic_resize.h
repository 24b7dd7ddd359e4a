#ifndef FACET_SERVICES_VISION_BICUBIC_RESIZE_H_
#define FACET_SERVICES_VISION_BICUBIC_RESIZE_H_

#include "model/media/image_size.h"
#include "services/vision/rgb_image.h"

namespace facet {

// Bicubic (a = -0.5) with antialiasing, on bytes: the arithmetic of Pillow up to release 12, bit
// for bit. Columns first, rounded to bytes, then rows. The image itself if it has that size
// already. Both sizes are at least 1 x 1. Thread-safe.
RgbImage ResizeBicubic(RgbImage image, const ImageSize& size);

}  // namespace facet

#endif  // FACET_SERVICES_VISION_BICUBIC_RESIZE_H_
