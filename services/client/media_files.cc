#include "services/client/media_files.h"

#include "absl/strings/match.h"
#include "base/status_macros.h"
#include "services/client/command.h"

namespace facet {
namespace {

bool IsUrl(const std::string& path) {
  for (const char* const scheme : {"http://", "https://", "file://", "data:"}) {
    if (absl::StartsWith(path, scheme)) return true;
  }
  return false;
}

}  // namespace

void MediaFiles::AddFlags(FlagSet* flags) {
  flags->TextList("image", "FILE",
                  "an image (JPEG, PNG, WebP, GIF), or its URL, which the router "
                  "must be allowed to fetch; may be given again",
                  &images);
  flags->TextList("audio", "FILE", "a clip (WAV, FLAC, MP3, Ogg); may be given again", &audio);
  flags->TextList("video", "FILE", "a video (MP4, WebM); may be given again", &videos);
  flags->Int("image-budget", "N", "soft tokens of an image: 70, 140, 280, 560, 1120",
             &image_budget);
  flags->Switch("split-long-audio", "cut audio that the model does not take at once",
                &split_long_audio);
}

absl::Status MediaFiles::Read(google::protobuf::RepeatedPtrField<v1::Media>* out) const {
  const auto add = [out](const std::string& path, v1::Media::Kind kind) {
    v1::Media* medium = out->Add();
    medium->set_kind(kind);
    if (IsUrl(path)) {
      medium->set_url(path);
      return absl::OkStatus();
    }
    return ReadFile(path, medium->mutable_data());
  };
  for (const std::string& path : images) {
    FACET_RETURN_IF_ERROR(add(path, v1::Media::IMAGE));
    out->at(out->size() - 1).set_max_soft_tokens(image_budget.value_or(0));
  }
  for (const std::string& path : videos) FACET_RETURN_IF_ERROR(add(path, v1::Media::VIDEO));
  for (const std::string& path : audio) {
    FACET_RETURN_IF_ERROR(add(path, v1::Media::AUDIO));
    out->at(out->size() - 1).set_split_long_audio(split_long_audio);
  }
  return absl::OkStatus();
}

}  // namespace facet
