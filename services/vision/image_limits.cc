#include "services/vision/image_limits.h"

#include "absl/strings/str_cat.h"

namespace facet {

absl::Status ImageLimits::CheckSize(int64_t width, int64_t height, int64_t file_bytes) const {
  if (width < 1 || height < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the image is ", width, " x ", height, " pixels; at least 1 x 1"));
  }
  if (width > max_pixels / height) {
    return absl::InvalidArgumentError(absl::StrCat("the image is ", width, " x ", height,
                                                   " pixels, together more than ", max_pixels));
  }
  const int64_t decoded = 3 * width * height;
  if (decoded > max_ratio_from && decoded / max_ratio > file_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("the image unpacks from ", file_bytes, " to ",
                                                   decoded, " bytes, more than ", max_ratio,
                                                   " for each"));
  }
  return absl::OkStatus();
}

}  // namespace facet
