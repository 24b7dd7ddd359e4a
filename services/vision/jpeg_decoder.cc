#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

// clang-format off: it needs size_t and FILE from above.
#include <jerror.h>
#include <jpeglib.h>
// clang-format on

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "services/vision/exif_orientation.h"
#include "services/vision/image_codecs.h"

namespace facet {
namespace {

constexpr int kMaxScans = 200;  // a progressive file with more only burns time

// libjpeg's error exit must not return: it jumps back to where the decoder was entered.
struct ErrorManager {
  jpeg_error_mgr base;  // first, so that libjpeg's pointer is ours
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void ExitWithMessage(j_common_ptr info) {
  auto* const errors = reinterpret_cast<ErrorManager*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

// A warning means that the data is damaged or cut off: what follows would be grey. But for those
// about headers, and bytes between segments, which cameras leave there: no pixel is lost.
void TreatWarningAsError(j_common_ptr info, int level) {
  const int code = info->err->msg_code;
  const bool harmless =
      code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR;
  if (level < 0 && !harmless) ExitWithMessage(info);
}

void CountScans(j_common_ptr info) {
  const auto* const decoder = reinterpret_cast<j_decompress_ptr>(info);
  if (decoder->input_scan_number <= kMaxScans) return;
  auto* const errors = reinterpret_cast<ErrorManager*>(info->err);
  std::snprintf(errors->message, sizeof(errors->message), "more than %d scans", kMaxScans);
  std::longjmp(errors->jump, 1);
}

uint8_t MulDiv255(int a, int b) {
  const int t = a * b + 128;
  return static_cast<uint8_t>(((t >> 8) + t) >> 8);
}

// CMYK files hold inverted ink, as Adobe's do and Pillow assumes: 255 is no ink.
void CmykToRgb(const uint8_t* cmyk, int width, uint8_t* rgb) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    for (int c = 0; c < 3; ++c) {
      rgb[c] = static_cast<uint8_t>(cmyk[3] - MulDiv255(255 - cmyk[c], cmyk[3]));
    }
  }
}

// Nothing with a destructor lives in the functions below where libjpeg can jump out of them.
class JpegDecoder {
 public:
  JpegDecoder(absl::Span<const uint8_t> bytes, const ImageLimits& limits)
      : bytes_(bytes), limits_(limits) {
    decoder_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = ExitWithMessage;
    errors_.base.emit_message = TreatWarningAsError;
    errors_.message[0] = '\0';
  }
  ~JpegDecoder() { jpeg_destroy_decompress(&decoder_); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  absl::StatusOr<DecodedImage> Decode() {
    if (!ReadHeader()) return Error();
    FACET_RETURN_IF_ERROR(limits_.CheckSize(decoder_.image_width, decoder_.image_height,
                                            static_cast<int64_t>(bytes_.size())));
    DecodedImage out;
    out.orientation = Orientation();
    out.image =
        RgbImage(static_cast<int>(decoder_.image_height), static_cast<int>(decoder_.image_width));
    line_.resize(static_cast<size_t>(decoder_.image_width) * 4);
    if (!ReadPixels(&out.image)) return Error();
    return out;
  }

 private:
  bool ReadHeader() {
    if (setjmp(errors_.jump)) return false;
    jpeg_create_decompress(&decoder_);
    progress_.progress_monitor = CountScans;
    decoder_.progress = &progress_;
    jpeg_mem_src(&decoder_, bytes_.data(), bytes_.size());
    jpeg_save_markers(&decoder_, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&decoder_, TRUE);
    return true;
  }

  bool ReadPixels(RgbImage* image) {
    if (setjmp(errors_.jump)) return false;
    const bool has_black =
        decoder_.jpeg_color_space == JCS_CMYK || decoder_.jpeg_color_space == JCS_YCCK;
    decoder_.out_color_space = has_black ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&decoder_);
    while (decoder_.output_scanline < decoder_.output_height) {
      uint8_t* const row = image->row(static_cast<int>(decoder_.output_scanline));
      JSAMPROW line = has_black ? line_.data() : row;
      jpeg_read_scanlines(&decoder_, &line, 1);
      if (has_black) CmykToRgb(line_.data(), image->width, row);
    }
    jpeg_finish_decompress(&decoder_);
    return true;
  }

  int Orientation() const {
    for (auto* marker = decoder_.marker_list; marker != nullptr; marker = marker->next) {
      const absl::Span<const uint8_t> data(marker->data, marker->data_length);
      if (data.size() >= 6 && data[0] == 'E' && data[1] == 'x' && data[2] == 'i' &&
          data[3] == 'f') {
        return ExifOrientation(data);
      }
    }
    return 1;
  }

  absl::Status Error() const {
    return absl::InvalidArgumentError(
        absl::StrCat("the JPEG cannot be decoded: ", errors_.message));
  }

  const absl::Span<const uint8_t> bytes_;
  const ImageLimits& limits_;
  jpeg_decompress_struct decoder_ = {};
  jpeg_progress_mgr progress_ = {};
  ErrorManager errors_ = {};
  std::vector<uint8_t> line_;  // of a CMYK image
};

}  // namespace

absl::StatusOr<DecodedImage> DecodeJpeg(absl::Span<const uint8_t> bytes,
                                        const ImageLimits& limits) {
  return JpegDecoder(bytes, limits).Decode();
}

}  // namespace facet
