#ifndef FACET_SERVICES_VISION_VIDEO_DECODER_H_
#define FACET_SERVICES_VISION_VIDEO_DECODER_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/encoder/still_wanted.h"
#include "services/vision/rgb_image.h"

namespace facet {

struct VideoLimits {
  int64_t max_bytes = 256 << 20;                  // of the file
  int64_t max_pixels = 16 << 20;                  // of a frame
  int max_listed_frames = 256;                    // of a list of images
  int max_source_frames = 36000;                  // of the file: 20 minutes at 30 a second
  int64_t max_source_pixels = int64_t{40} << 30;  // of all its frames: 10 minutes of 1080p at 30
};

// Takes a frame, which is upright, and its time: index / frames per second, as the reference counts
// it. Not OK ends the decoding with that status.
using FrameSink = std::function<absl::Status(RgbImage image, double timestamp_seconds)>;

// Hands over the frames of a video that the reference looks at: `most` of them, number
// floor(i * total / most) for i from 0 on; all of a video that has no more. MP4, WebM and
// what else FFmpeg reads. An unknown rate counts as 24 frames a second. Sound is not used.
// The video's length in seconds. InvalidArgument says what is wrong: no video stream, a codec that
// is not known, a limit (with the numbers), a damaged file; or what `wanted` or `sink` says.
// Thread-safe.
absl::StatusOr<double> DecodeVideo(absl::Span<const uint8_t> bytes, const VideoLimits& limits,
                                   int most, const StillWanted& wanted, const FrameSink& sink);

}  // namespace facet

#endif  // FACET_SERVICES_VISION_VIDEO_DECODER_H_
