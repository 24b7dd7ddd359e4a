#ifndef FACET_SERVICES_VISION_IMAGE_PIPELINE_H_
#define FACET_SERVICES_VISION_IMAGE_PIPELINE_H_

// From a medium's bytes to the pixels that the tower takes.

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/facet/internal/encoder.pb.h"
#include "services/vision/image_limits.h"
#include "services/vision/rgb_image.h"
#include "services/vision/video_decoder.h"
#include "services/vision/vision_config.h"

namespace facet {

struct PreparedMedia {
  std::vector<RgbImage> images;           // resized for the tower
  std::vector<double> timestamp_seconds;  // of the frames of a video; of an image: 0
  double seconds = 0;                     // length of a video
  int64_t patches = 0;                    // of all images together
};

// Decodes and resizes what the request holds. InvalidArgument names what is wrong: the budget, a
// limit, the frame of a list. Thread-safe.
absl::StatusOr<PreparedMedia> PrepareMedia(const internal::EncodeVisionRequest& request,
                                           const VisionConfig& config, const ImageLimits& limits,
                                           const VideoLimits& video_limits);

}  // namespace facet

#endif  // FACET_SERVICES_VISION_IMAGE_PIPELINE_H_
