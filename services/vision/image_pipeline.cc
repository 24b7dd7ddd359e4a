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

absl::Span<const uint8_t> BytesOf(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

class Preparer {
 public:
  Preparer(const VisionConfig& config, int budget) : config_(config), budget_(budget) {}

  absl::Status Add(RgbImage image, double timestamp) {
    FACET_ASSIGN_OR_RETURN(const ImageSize size,
                           ResizedSize({image.height, image.width}, budget_, config_.patches));
    const int patch = config_.patches.patch;
    media_.images.push_back({ResizeBicubic(std::move(image), size),
                             int64_t{size.height / patch} * (size.width / patch)});
    media_.timestamp_seconds.push_back(timestamp);
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

absl::Status CheckFrames(const internal::VideoFrameList& frames, int max_frames) {
  if (frames.images().empty()) return absl::InvalidArgumentError("frames has no images");
  if (frames.images_size() > max_frames) {
    return absl::InvalidArgumentError(absl::StrCat(
        "frames has ", frames.images_size(), " images, at most ", max_frames, " are allowed"));
  }
  if (frames.timestamp_seconds_size() != frames.images_size()) {
    return absl::InvalidArgumentError(absl::StrCat("frames has ", frames.images_size(),
                                                   " images and ", frames.timestamp_seconds_size(),
                                                   " timestamps"));
  }
  for (int i = 0; i < frames.images_size(); ++i) {
    const double timestamp = frames.timestamp_seconds(i);
    if (!(timestamp >= 0 && timestamp <= 1e6)) {
      return absl::InvalidArgumentError(
          absl::StrCat("frames.timestamp_seconds[", i, "] is ", timestamp, "; allowed: 0 to 1e6"));
    }
  }
  return absl::OkStatus();
}

absl::Status AddFrames(const internal::VideoFrameList& frames, const MediaLimits& limits,
                       const StillWanted& wanted, Preparer& out) {
  FACET_RETURN_IF_ERROR(CheckFrames(frames, limits.video.max_listed_frames));
  for (int i = 0; i < frames.images_size(); ++i) {
    FACET_RETURN_IF_ERROR(wanted());
    absl::StatusOr<RgbImage> image = DecodeImage(BytesOf(frames.images(i)), limits.image);
    if (!image.ok()) return Annotate(image.status(), absl::StrCat("frames.images[", i, "]"));
    FACET_RETURN_IF_ERROR(out.Add(*std::move(image), frames.timestamp_seconds(i)));
  }
  return absl::OkStatus();
}

int64_t MediaBytes(const internal::EncodeVisionRequest& request) {
  auto bytes = static_cast<int64_t>(request.image().size() + request.video().size());
  for (const std::string& image : request.frames().images()) {
    bytes += static_cast<int64_t>(image.size());
  }
  return bytes;
}

}  // namespace

absl::StatusOr<int> ImageBudgetOf(const internal::EncodeVisionRequest& request,
                                  const VisionConfig& config) {
  const int budget = request.max_soft_tokens();
  if (budget != 0) {
    FACET_RETURN_IF_ERROR(CheckImageBudget(budget));
    return budget;
  }
  return request.has_image() ? config.default_image_budget : config.default_frame_budget;
}

absl::StatusOr<PreparedMedia> PrepareMedia(const internal::EncodeVisionRequest& request,
                                           const VisionConfig& config, const MediaLimits& limits,
                                           const StillWanted& wanted) {
  FACET_ASSIGN_OR_RETURN(const int budget, ImageBudgetOf(request, config));
  if (const int64_t bytes = MediaBytes(request); bytes > limits.max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("the ", request.has_image() ? "image" : "video",
                                                   " has ", bytes, " bytes, at most ",
                                                   limits.max_bytes, " are allowed"));
  }
  Preparer out(config, budget);
  switch (request.input_case()) {
    case internal::EncodeVisionRequest::kImage: {
      FACET_ASSIGN_OR_RETURN(RgbImage image, DecodeImage(BytesOf(request.image()), limits.image));
      FACET_RETURN_IF_ERROR(out.Add(std::move(image), 0));
      return out.Take(0);
    }
    case internal::EncodeVisionRequest::kVideo: {
      FACET_ASSIGN_OR_RETURN(
          const double seconds,
          DecodeVideo(BytesOf(request.video()), limits.video, config.video_frames, wanted,
                      [&out](RgbImage image, double timestamp) {
                        return out.Add(std::move(image), timestamp);
                      }));
      return out.Take(seconds);
    }
    case internal::EncodeVisionRequest::kFrames:
      FACET_RETURN_IF_ERROR(AddFrames(request.frames(), limits, wanted, out));
      return out.Take(0);
    case internal::EncodeVisionRequest::INPUT_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("the request has no image, video or frames");
}

}  // namespace facet
