#include <gif_lib.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "services/vision/image_codecs.h"

namespace facet {
namespace {

struct Source {
  absl::Span<const uint8_t> bytes;
  size_t place = 0;
};

int ReadBytes(GifFileType* gif, GifByteType* to, int count) {
  auto* const source = static_cast<Source*>(gif->UserData);
  const size_t taken = std::min(static_cast<size_t>(count), source->bytes.size() - source->place);
  std::copy_n(source->bytes.data() + source->place, taken, to);
  source->place += taken;
  return static_cast<int>(taken);
}

void Close(GifFileType* gif) { DGifCloseFile(gif, nullptr); }
using Gif = std::unique_ptr<GifFileType, decltype(&Close)>;

absl::Status Undecodable(int error) {
  const char* const why = GifErrorString(error);
  return absl::InvalidArgumentError(
      absl::StrCat("the GIF cannot be decoded: ", why == nullptr ? "it is damaged" : why));
}

constexpr int kGraphicsControl = 0xf9;

// The index that a graphics control block makes transparent; -1 if it makes none, or is no such
// block. `block`: its length, then its bytes.
int TransparentIndex(int code, const GifByteType* block) {
  const bool has_one = code == kGraphicsControl && block != nullptr && block[0] >= 4;
  return has_one && (block[1] & 1) != 0 ? block[4] : -1;
}

// Up to the first image. The index that is transparent in it; -1 if there is none.
absl::StatusOr<int> FindFirstImage(GifFileType* gif) {
  int transparent = -1;
  GifRecordType type = UNDEFINED_RECORD_TYPE;
  while (DGifGetRecordType(gif, &type) == GIF_OK) {
    if (type == IMAGE_DESC_RECORD_TYPE) {
      if (DGifGetImageDesc(gif) != GIF_OK) return Undecodable(gif->Error);
      return transparent;
    }
    if (type == TERMINATE_RECORD_TYPE) break;
    int code = 0;
    GifByteType* block = nullptr;
    if (type != EXTENSION_RECORD_TYPE || DGifGetExtension(gif, &code, &block) != GIF_OK) break;
    transparent = std::max(transparent, TransparentIndex(code, block));
    while (block != nullptr) {
      if (DGifGetExtensionNext(gif, &block) != GIF_OK) return Undecodable(gif->Error);
    }
  }
  return absl::InvalidArgumentError("the GIF holds no image");
}

// The rows of an image in the order in which the file has them.
std::vector<int> RowOrder(int height, bool interlaced) {
  std::vector<int> rows;
  if (!interlaced) {
    for (int y = 0; y < height; ++y) rows.push_back(y);
    return rows;
  }
  constexpr int kStart[] = {0, 4, 2, 1};
  constexpr int kStep[] = {8, 8, 4, 2};
  for (int pass = 0; pass < 4; ++pass) {
    for (int y = kStart[pass]; y < height; y += kStep[pass]) rows.push_back(y);
  }
  return rows;
}

void SetPixel(const ColorMapObject& colors, int index, uint8_t* rgb) {
  if (index >= colors.ColorCount) index = 0;
  const GifColorType& color = colors.Colors[index];
  rgb[0] = color.Red;
  rgb[1] = color.Green;
  rgb[2] = color.Blue;
}

// The frame at its place on the screen. The rest of the screen has the colour `outside`, as in
// Pillow, which does not look at the background that the file names.
absl::Status ReadFrame(GifFileType* gif, int outside, RgbImage* image) {
  const GifImageDesc& frame = gif->Image;
  const ColorMapObject* colors = frame.ColorMap != nullptr ? frame.ColorMap : gif->SColorMap;
  if (colors == nullptr) return absl::InvalidArgumentError("the GIF has no colours");
  for (size_t i = 0; i < image->pixels.size(); i += 3) {
    SetPixel(*colors, outside, image->pixels.data() + i);
  }
  std::vector<GifPixelType> line(static_cast<size_t>(frame.Width));
  for (const int row : RowOrder(frame.Height, frame.Interlace)) {
    if (DGifGetLine(gif, line.data(), frame.Width) != GIF_OK) return Undecodable(gif->Error);
    const int y = frame.Top + row;
    if (y >= image->height) continue;
    for (int x = 0; x < frame.Width && frame.Left + x < image->width; ++x) {
      SetPixel(*colors, line[static_cast<size_t>(x)], image->row(y) + 3 * (frame.Left + x));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DecodedImage> DecodeGif(absl::Span<const uint8_t> bytes, const ImageLimits& limits) {
  Source source{bytes};
  int error = 0;
  const Gif gif(DGifOpen(&source, ReadBytes, &error), Close);
  if (gif == nullptr) return Undecodable(error);
  const auto file_bytes = static_cast<int64_t>(bytes.size());
  FACET_RETURN_IF_ERROR(limits.CheckSize(gif->SWidth, gif->SHeight, file_bytes));
  FACET_ASSIGN_OR_RETURN(const int transparent, FindFirstImage(gif.get()));
  FACET_RETURN_IF_ERROR(limits.CheckSize(gif->Image.Width, gif->Image.Height, file_bytes));
  DecodedImage out;
  out.image = RgbImage(gif->SHeight, gif->SWidth);
  FACET_RETURN_IF_ERROR(ReadFrame(gif.get(), std::max(transparent, 0), &out.image));
  return out;
}

}  // namespace facet
