#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "services/vision/exif_orientation.h"
#include "services/vision/image_codecs.h"

namespace facet {
namespace {

constexpr png_alloc_size_t kMaxChunkBytes = 8 << 20;  // text, colour profiles, EXIF
constexpr png_uint_32 kMaxChunks = 1000;

// Nothing with a destructor lives in the functions below where libpng can jump out of them.
class PngDecoder {
 public:
  PngDecoder(absl::Span<const uint8_t> bytes, const ImageLimits& limits)
      : bytes_(bytes), limits_(limits) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, OnError, OnWarning);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
  }
  ~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  absl::StatusOr<DecodedImage> Decode() {
    if (info_ == nullptr) return absl::ResourceExhaustedError("no memory to decode a PNG");
    if (!ReadHeader()) return Error();
    FACET_RETURN_IF_ERROR(limits_.CheckSize(width_, height_, static_cast<int64_t>(bytes_.size())));
    DecodedImage out;
    out.image = RgbImage(static_cast<int>(height_), static_cast<int>(width_));
    for (int y = 0; y < out.image.height; ++y) rows_.push_back(out.image.row(y));
    if (!ReadPixels()) return Error();
    out.orientation = orientation_;
    return out;
  }

 private:
  static void OnError(png_structp png, png_const_charp message) {
    auto* const self = static_cast<PngDecoder*>(png_get_error_ptr(png));
    std::snprintf(self->message_, sizeof(self->message_), "%s", message);
    std::longjmp(png_jmpbuf(png), 1);
  }
  static void OnWarning(png_structp, png_const_charp) {}

  static void ReadBytes(png_structp png, png_bytep to, png_size_t count) {
    auto* const self = static_cast<PngDecoder*>(png_get_io_ptr(png));
    if (count > self->bytes_.size() - self->place_) png_error(png, "the file is cut off");
    std::copy_n(self->bytes_.data() + self->place_, count, to);
    self->place_ += count;
  }

  bool ReadHeader() {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_user_limits(png_, 0x7fffffff, 0x7fffffff);  // ours are stricter, and say the numbers
    png_set_chunk_malloc_max(png_, kMaxChunkBytes);
    png_set_chunk_cache_max(png_, kMaxChunks);
    png_set_read_fn(png_, this, ReadBytes);
    png_read_info(png_, info_);
    width_ = png_get_image_width(png_, info_);
    height_ = png_get_image_height(png_, info_);
    return true;
  }

  bool ReadPixels() {
    if (setjmp(png_jmpbuf(png_))) return false;
    png_set_strip_16(png_);
    png_set_palette_to_rgb(png_);
    png_set_expand_gray_1_2_4_to_8(png_);
    png_set_strip_alpha(png_);
    png_set_gray_to_rgb(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    if (png_get_rowbytes(png_, info_) != png_size_t{3} * width_) png_error(png_, "odd row size");
    png_read_image(png_, rows_.data());
    png_read_end(png_, info_);
    png_bytep exif = nullptr;
    png_uint_32 exif_bytes = 0;
    if (png_get_eXIf_1(png_, info_, &exif_bytes, &exif) != 0) {
      orientation_ = ExifOrientation({exif, exif_bytes});
    }
    return true;
  }

  absl::Status Error() const {
    return absl::InvalidArgumentError(absl::StrCat("the PNG cannot be decoded: ", message_));
  }

  const absl::Span<const uint8_t> bytes_;
  const ImageLimits& limits_;
  size_t place_ = 0;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  png_uint_32 width_ = 0;
  png_uint_32 height_ = 0;
  int orientation_ = 1;
  std::vector<png_bytep> rows_;
  char message_[200] = "";
};

}  // namespace

absl::StatusOr<DecodedImage> DecodePng(absl::Span<const uint8_t> bytes, const ImageLimits& limits) {
  return PngDecoder(bytes, limits).Decode();
}

}  // namespace facet
