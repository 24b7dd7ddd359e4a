#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>
#include <utility>

#include "base/status_macros.h"
#include "services/vision/exif_orientation.h"
#include "services/vision/image_codecs.h"

namespace facet {
namespace {

using Demuxer = std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)>;
using Animation = std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)>;

absl::Status Undecodable(const char* why) {
  return absl::InvalidArgumentError(std::string("the WebP cannot be decoded: ") + why);
}

int Orientation(const WebPDemuxer& demuxer) {
  WebPChunkIterator chunk;
  int orientation = 1;
  if (WebPDemuxGetChunk(&demuxer, "EXIF", 1, &chunk) != 0) {
    orientation = ExifOrientation({chunk.chunk.bytes, chunk.chunk.size});
  }
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

absl::Status DecodeFirstFrame(const WebPData& data, RgbImage* image) {
  WebPAnimDecoderOptions options;
  if (WebPAnimDecoderOptionsInit(&options) == 0) return Undecodable("other library version");
  options.color_mode = MODE_RGBA;
  const Animation animation(WebPAnimDecoderNew(&data, &options), WebPAnimDecoderDelete);
  uint8_t* canvas = nullptr;  // the decoder's
  int timestamp = 0;
  if (animation == nullptr || WebPAnimDecoderGetNext(animation.get(), &canvas, &timestamp) == 0) {
    return Undecodable("its first frame is damaged");
  }
  const size_t pixels = image->pixels.size() / 3;
  for (size_t i = 0; i < pixels; ++i) {
    for (size_t c = 0; c < 3; ++c) image->pixels[3 * i + c] = canvas[4 * i + c];
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DecodedImage> DecodeWebp(absl::Span<const uint8_t> bytes,
                                        const ImageLimits& limits) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(bytes.data(), bytes.size(), &features) != VP8_STATUS_OK) {
    return Undecodable("its header is damaged");
  }
  FACET_RETURN_IF_ERROR(
      limits.CheckSize(features.width, features.height, static_cast<int64_t>(bytes.size())));
  const WebPData data = {bytes.data(), bytes.size()};
  const Demuxer demuxer(WebPDemux(&data), WebPDemuxDelete);
  if (demuxer == nullptr) return Undecodable("it is damaged or cut off");
  DecodedImage out;
  out.orientation = Orientation(*demuxer);
  out.image = RgbImage(features.height, features.width);
  if (features.has_animation != 0) {
    FACET_RETURN_IF_ERROR(DecodeFirstFrame(data, &out.image));
  } else if (WebPDecodeRGBInto(bytes.data(), bytes.size(), out.image.pixels.data(),
                               out.image.pixels.size(), out.image.width * 3) == nullptr) {
    return Undecodable("its pixels are damaged or cut off");
  }
  return out;
}

}  // namespace facet
