#include "services/vision/image_decoder.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "services/vision/exif_orientation.h"
#include "services/vision/image_codecs.h"

namespace facet {
namespace {

bool StartsWith(absl::Span<const uint8_t> bytes, absl::string_view magic, size_t at = 0) {
  return bytes.size() >= at + magic.size() &&
         std::equal(magic.begin(), magic.end(), bytes.begin() + at,
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

absl::StatusOr<DecodedImage> Decode(absl::Span<const uint8_t> bytes, const ImageLimits& limits) {
  switch (SniffImageFormat(bytes)) {
    case ImageFormat::kJpeg:
      return DecodeJpeg(bytes, limits);
    case ImageFormat::kPng:
      return DecodePng(bytes, limits);
    case ImageFormat::kWebp:
      return DecodeWebp(bytes, limits);
    case ImageFormat::kGif:
      return DecodeGif(bytes, limits);
    case ImageFormat::kUnknown:
      break;
  }
  return absl::InvalidArgumentError(
      "the image is in none of the formats that are read: JPEG, PNG, WebP, GIF");
}

}  // namespace

ImageFormat SniffImageFormat(absl::Span<const uint8_t> bytes) {
  if (StartsWith(bytes, "\xff\xd8\xff")) return ImageFormat::kJpeg;
  if (StartsWith(bytes, "\x89PNG\r\n\x1a\n")) return ImageFormat::kPng;
  if (StartsWith(bytes, "RIFF") && StartsWith(bytes, "WEBP", 8)) return ImageFormat::kWebp;
  if (StartsWith(bytes, "GIF87a") || StartsWith(bytes, "GIF89a")) return ImageFormat::kGif;
  return ImageFormat::kUnknown;
}

absl::StatusOr<RgbImage> DecodeImage(absl::Span<const uint8_t> bytes, const ImageLimits& limits) {
  if (bytes.empty()) return absl::InvalidArgumentError("the image has no bytes");
  if (static_cast<int64_t>(bytes.size()) > limits.max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the image has ", bytes.size(), " bytes, at most ", limits.max_bytes, " are allowed"));
  }
  FACET_ASSIGN_OR_RETURN(DecodedImage decoded, Decode(bytes, limits));
  return Upright(std::move(decoded.image), decoded.orientation);
}

}  // namespace facet
