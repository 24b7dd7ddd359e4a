#include "router/media/media_validator.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "router/media/media_kinds.h"

namespace facet {
namespace {

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status CheckKind(const ServedModel& model, const MediaInput& input) {
  const v1::Media::Kind kind = input.media->kind();
  if (kind < v1::Media::IMAGE || kind > v1::Media::VIDEO) {
    return Wrong(input.field, ".kind is ", static_cast<int>(kind),
                 "; allowed: 1 (IMAGE), 2 (AUDIO), 3 (VIDEO)");
  }
  if (TokensOf(model.config, kind).has_value()) return absl::OkStatus();
  return Wrong(input.field, ".kind is ", v1::Media::Kind_Name(kind), "; model '", model.name,
               "' takes ", AcceptedMedia(model.config));
}

absl::Status CheckFrames(const MediaInput& input) {
  const v1::VideoFrames& frames = input.media->frames();
  if (input.media->kind() != v1::Media::VIDEO) {
    return Wrong(input.field, ".frames is set; they are for kind VIDEO");
  }
  if (frames.images().empty()) return Wrong(input.field, ".frames.images is empty");
  if (frames.timestamp_seconds_size() != frames.images_size()) {
    return Wrong(input.field, ".frames has ", frames.images_size(), " images and ",
                 frames.timestamp_seconds_size(), " timestamp_seconds; one is needed of each");
  }
  for (int i = 0; i < frames.timestamp_seconds_size(); ++i) {
    const double seconds = frames.timestamp_seconds(i);
    if (seconds >= 0 && seconds <= 1e6) continue;
    return Wrong(input.field, ".frames.timestamp_seconds[", i, "] is ", seconds,
                 "; allowed: 0 to 1000000");
  }
  return absl::OkStatus();
}

absl::Status CheckSource(const ServedModel& model, const MediaInput& input) {
  switch (input.media->source_case()) {
    case v1::Media::kData:
    case v1::Media::kUrl:
      if (input.media->data().empty() && input.media->url().empty()) {
        return Wrong(input.field, input.media->has_url() ? ".url" : ".data", " is empty");
      }
      if (input.media->kind() == v1::Media::VIDEO && model.tokenizer == nullptr) {
        return absl::FailedPreconditionError(
            absl::StrCat(input.field, " is a video file; the checkpoint of model '", model.name,
                         "' has no tokenizer.json for the times of its frames; send frames"));
      }
      return absl::OkStatus();
    case v1::Media::kFrames:
      return CheckFrames(input);
    case v1::Media::SOURCE_NOT_SET:
      break;
  }
  return Wrong(input.field, " has no source; set data, url, or frames of a video");
}

absl::Status CheckSettings(const MediaInput& input) {
  const v1::Media& media = *input.media;
  if (media.max_soft_tokens() != 0 && media.kind() == v1::Media::AUDIO) {
    return Wrong(input.field, ".max_soft_tokens is ", media.max_soft_tokens(),
                 "; it is for images and video");
  }
  if (media.max_soft_tokens() != 0 && !IsImageBudget(media.max_soft_tokens())) {
    return Wrong(input.field, ".max_soft_tokens is ", media.max_soft_tokens(),
                 "; allowed: 70, 140, 280, 560, 1120; 0 is the default");
  }
  if (media.split_long_audio() && media.kind() != v1::Media::AUDIO) {
    return Wrong(input.field, ".split_long_audio is true; it is for kind AUDIO");
  }
  return absl::OkStatus();
}

}  // namespace

bool IsImageBudget(int max_soft_tokens) {
  for (const int budget : {70, 140, 280, 560, 1120}) {
    if (max_soft_tokens == budget) return true;
  }
  return false;
}

absl::Status ValidateMedia(const ServedModel& model, int64_t max_media_bytes,
                           const MediaInputs& inputs) {
  int64_t bytes = 0;
  for (const MediaInput& input : inputs) {
    FACET_RETURN_IF_ERROR(CheckKind(model, input));
    FACET_RETURN_IF_ERROR(CheckSource(model, input));
    FACET_RETURN_IF_ERROR(CheckSettings(input));
    bytes += static_cast<int64_t>(input.media->data().size());
    for (const std::string& image : input.media->frames().images()) {
      bytes += static_cast<int64_t>(image.size());
    }
  }
  if (bytes <= max_media_bytes) return absl::OkStatus();
  return Wrong("the media of the request have ", bytes, " bytes; at most ", max_media_bytes,
               " are accepted");
}

}  // namespace facet
