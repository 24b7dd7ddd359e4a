#include "services/vision/image_pipeline.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/json.h"
#include "model/media/image_size.h"
#include "services/vision/bicubic_resize.h"
#include "services/vision/image_decoder.h"

namespace facet {
namespace {

constexpr int kFrameBudget =
    70;  // soft tokens of a video's frame, unless the caller says otherwise

absl::Span<const uint8_t> BytesOf(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

class Preparer {
 public:
  Preparer(const VisionConfig& config, int budget) : config_(config), budget_(budget) {}

  absl::Status Add(RgbImage image, double timestamp) {
    FACET_ASSIGN_OR_RETURN(const ImageSize size,
                           ResizedSize({image.height, image.width}, budget_, config_.patches));
    media_.images.push_back(ResizeBicubic(std::move(image), size));
    media_.timestamp_seconds.push_back(timestamp);
    const int patch = config_.patches.patch;
    media_.patches += int64_t{size.height / patch} * (size.width / patch);
    return absl::OkStatus();
  }

  PreparedMedia Take(double seconds) {
    media_.seconds = seconds;
    return std::move(media_);
  }

 private:
  const VisionConfig& config_;
  const int budget_;
  PreparedMedia media_;
};

absl::StatusOr<double> AddFrames(const internal::VideoFrameList& frames, const ImageLimits& limits,
                                 const VideoLimits& video_limits, Preparer& out) {
  if (frames.images().empty()) return absl::InvalidArgumentError("frames has no images");
  if (frames.images_size() > video_limits.max_frames) {
    return absl::InvalidArgumentError(absl::StrCat("frames has ", frames.images_size(),
                                                   " images, at most ", video_limits.max_frames,
                                                   " are allowed"));
  }
  if (frames.timestamp_seconds_size() != frames.images_size()) {
    return absl::InvalidArgumentError(absl::StrCat("frames has ", frames.images_size(),
                                                   " images and ", frames.timestamp_seconds_size(),
                                                   " timestamps"));
  }
  for (int i = 0; i < frames.images_size(); ++i) {
    const double timestamp = frames.timestamp_seconds(i);
    if (!(timestamp >= 0 && timestamp < 1e6)) {
      return absl::InvalidArgumentError(
          absl::StrCat("frames.timestamp_seconds[", i, "] is ", timestamp, "; allowed: 0 to 1e6"));
    }
    absl::StatusOr<RgbImage> image = DecodeImage(BytesOf(frames.images(i)), limits);
    if (!image.ok()) return Annotate(image.status(), absl::StrCat("frames.images[", i, "]"));
    FACET_RETURN_IF_ERROR(out.Add(*std::move(image), timestamp));
  }
  return frames.timestamp_seconds(frames.images_size() - 1);
}

absl::StatusOr<double> AddVideo(const std::string& file, const VideoLimits& limits, Preparer& out) {
  FACET_ASSIGN_OR_RETURN(DecodedVideo video, DecodeVideo(BytesOf(file), limits));
  for (VideoFrame& frame : video.frames) {
    FACET_RETURN_IF_ERROR(out.Add(std::move(frame.image), frame.timestamp_seconds));
  }
  return video.seconds;
}

}  // namespace

absl::StatusOr<PreparedMedia> PrepareMedia(const internal::EncodeVisionRequest& request,
                                           const VisionConfig& config, const ImageLimits& limits,
                                           const VideoLimits& video_limits) {
  const bool is_image = request.input_case() == internal::EncodeVisionRequest::kImage;
  int budget = request.max_soft_tokens();
  if (budget != 0) {
    FACET_RETURN_IF_ERROR(CheckImageBudget(budget));
  } else {
    budget = is_image ? config.default_image_budget : kFrameBudget;
  }
  Preparer out(config, budget);
  double seconds = 0;
  switch (request.input_case()) {
    case internal::EncodeVisionRequest::kImage: {
      FACET_ASSIGN_OR_RETURN(RgbImage image, DecodeImage(BytesOf(request.image()), limits));
      FACET_RETURN_IF_ERROR(out.Add(std::move(image), 0));
      break;
    }
    case internal::EncodeVisionRequest::kVideo: {
      FACET_ASSIGN_OR_RETURN(seconds, AddVideo(request.video(), video_limits, out));
      break;
    }
    case internal::EncodeVisionRequest::kFrames: {
      FACET_ASSIGN_OR_RETURN(seconds, AddFrames(request.frames(), limits, video_limits, out));
      break;
    }
    case internal::EncodeVisionRequest::INPUT_NOT_SET:
      return absl::InvalidArgumentError("the request has no image, video or frames");
  }
  return out.Take(seconds);
}

}  // namespace facet
