#ifndef FACET_SERVICES_VISION_IMAGE_PIPELINE_H_
#define FACET_SERVICES_VISION_IMAGE_PIPELINE_H_

// From a medium's bytes to the pixels that the tower takes.

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/facet/internal/encoder.pb.h"
#include "services/encoder/still_wanted.h"
#include "services/vision/image_limits.h"
#include "services/vision/rgb_image.h"
#include "services/vision/video_decoder.h"
#include "services/vision/vision_config.h"

namespace facet {

// What an image or a frame became.
struct PreparedImage {
  RgbImage image;  // resized for the tower
  int64_t patches = 0;
};

struct PreparedMedia {
  std::vector<PreparedImage> images;
  std::vector<double> timestamp_seconds;  // of the frames of a video; of an image: 0
  double seconds = 0;                     // length of a video
};

struct MediaLimits {
  int64_t max_bytes = 64 << 20;  // of a request's files together
  ImageLimits image;
  VideoLimits video;
};

// The budget that the request asks for, or the default of its kind. InvalidArgument names those
// there are.
absl::StatusOr<int> ImageBudgetOf(const internal::EncodeVisionRequest& request,
                                  const VisionConfig& config);

// Decodes and resizes what the request holds. InvalidArgument names what is wrong: the budget, a
// limit, the frame of a list; or what `wanted` says. Thread-safe.
absl::StatusOr<PreparedMedia> PrepareMedia(const internal::EncodeVisionRequest& request,
                                           const VisionConfig& config, const MediaLimits& limits,
                                           const StillWanted& wanted);

}  // namespace facet

#endif  // FACET_SERVICES_VISION_IMAGE_PIPELINE_H_
