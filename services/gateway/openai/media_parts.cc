#include "services/gateway/openai/media_parts.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {
namespace {

constexpr int kLowDetailTokens = 70;
constexpr int kHighDetailTokens = 1120;

absl::Status DecodeBase64(const std::string& path, absl::string_view text, std::string* bytes) {
  if (!absl::Base64Unescape(text, bytes)) return FieldError(path, "its data is not valid base64");
  if (bytes->empty()) return FieldError(path, "its data is empty");
  return absl::OkStatus();
}

// data:[<type>][;base64],<data>
absl::Status ReadUrl(const std::string& path, const std::string& url, v1::Media* media) {
  if (url.empty()) return FieldError(path, "is empty: a URL, or a data URL");
  if (!absl::StartsWithIgnoreCase(url, "data:")) {
    media->set_url(url);
    return absl::OkStatus();
  }
  const size_t comma = url.find(',');
  if (comma == std::string::npos ||
      !absl::EndsWithIgnoreCase(absl::string_view(url).substr(0, comma), ";base64")) {
    return FieldError(path, "is a data URL without ';base64,'");
  }
  return DecodeBase64(path, absl::string_view(url).substr(comma + 1), media->mutable_data());
}

absl::Status ReadDetail(const JsonFields& image, v1::Media* media) {
  FACET_ASSIGN_OR_RETURN(const std::optional<std::string> detail, image.Text("detail"));
  if (!detail.has_value() || *detail == "auto") return absl::OkStatus();
  if (*detail == "low") {
    media->set_max_soft_tokens(kLowDetailTokens);
  } else if (*detail == "high") {
    media->set_max_soft_tokens(kHighDetailTokens);
  } else {
    return FieldError(image.Path("detail"),
                      absl::StrCat("'", *detail, "' is not auto, low or high"));
  }
  return absl::OkStatus();
}

absl::Status ReadInputAudio(const JsonFields& audio, v1::Media* media) {
  FACET_ASSIGN_OR_RETURN(const std::string data, audio.RequiredText("data"));
  // The bytes say what they are; the format is checked only for what cannot be decoded.
  FACET_ASSIGN_OR_RETURN(const std::optional<std::string> format, audio.Text("format"));
  if (format.has_value() && *format != "wav" && *format != "mp3" && *format != "flac" &&
      *format != "ogg" && *format != "opus") {
    return FieldError(audio.Path("format"),
                      absl::StrCat("'", *format, "' is not wav, mp3, flac, ogg or opus"));
  }
  return DecodeBase64(audio.Path("data"), data, media->mutable_data());
}

}  // namespace

bool IsMediaPart(const std::string& type) {
  return type == "image_url" || type == "input_audio" || type == "audio_url" || type == "video_url";
}

absl::Status ReadMediaPart(const JsonFields& part, const std::string& type, v1::Media* media) {
  const bool image = type == "image_url";
  media->set_kind(image                 ? v1::Media::IMAGE
                  : type == "video_url" ? v1::Media::VIDEO
                                        : v1::Media::AUDIO);
  const Json* value = part.Find(type);
  if (value == nullptr) return FieldError(part.Path(type), "is missing: an object");
  FACET_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(*value, part.Path(type)));
  if (type == "input_audio") return ReadInputAudio(fields, media);
  if (image) FACET_RETURN_IF_ERROR(ReadDetail(fields, media));
  FACET_ASSIGN_OR_RETURN(const std::string url, fields.RequiredText("url"));
  return ReadUrl(fields.Path("url"), url, media);
}

}  // namespace facet
