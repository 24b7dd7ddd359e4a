#ifndef FACET_SERVICES_VISION_VIDEO_DECODER_H_
#define FACET_SERVICES_VISION_VIDEO_DECODER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/vision/rgb_image.h"

namespace facet {

struct VideoLimits {
  int64_t max_bytes = 256 << 20;  // of the file
  int64_t max_pixels = 16 << 20;  // of a frame
  int max_frames = 32;            // that are taken
  int max_source_frames = 36000;  // of the file: 20 minutes at 30 a second
};

struct VideoFrame {
  RgbImage image;
  double timestamp_seconds = 0;  // index / frames per second, as the reference counts it
};

struct DecodedVideo {
  std::vector<VideoFrame> frames;
  double seconds = 0;
};

// The frames of a video that the reference looks at: `max_frames` of them, number
// floor(i * total / max_frames) for i from 0 on; all of a video that has no more. MP4, WebM and
// what else FFmpeg reads. An unknown rate counts as 24 frames a second. Sound is not used.
// InvalidArgument says what is wrong: no video stream, a codec that is not known, a limit (with the
// numbers), a damaged file. Thread-safe.
absl::StatusOr<DecodedVideo> DecodeVideo(absl::Span<const uint8_t> bytes,
                                         const VideoLimits& limits);

}  // namespace facet

#endif  // FACET_SERVICES_VISION_VIDEO_DECODER_H_
