#include "services/vision/exif_orientation.h"

#include <algorithm>
#include <cstddef>

namespace facet {
namespace {

constexpr uint32_t kOrientationTag = 0x0112;
constexpr uint32_t kShort = 3;  // a TIFF type: 16 bits

// Numbers of a TIFF block in its byte order; 0 beyond its end.
class TiffReader {
 public:
  TiffReader(absl::Span<const uint8_t> bytes, bool big_endian)
      : bytes_(bytes), big_endian_(big_endian) {}

  uint32_t U16(size_t at) const { return Number(at, 2); }
  uint32_t U32(size_t at) const { return Number(at, 4); }

 private:
  uint32_t Number(size_t at, size_t size) const {
    if (at > bytes_.size() || bytes_.size() - at < size) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      value = value << 8 | bytes_[at + (big_endian_ ? i : size - 1 - i)];
    }
    return value;
  }

  const absl::Span<const uint8_t> bytes_;
  const bool big_endian_;
};

void CopyPixel(const RgbImage& from, int y, int x, RgbImage* to, int to_y, int to_x) {
  std::copy_n(from.row(y) + 3 * x, 3, to->row(to_y) + 3 * to_x);
}

}  // namespace

int ExifOrientation(absl::Span<const uint8_t> exif) {
  static constexpr uint8_t kPrefix[] = {'E', 'x', 'i', 'f', 0, 0};
  if (exif.size() >= 6 && std::equal(kPrefix, kPrefix + 6, exif.begin())) exif.remove_prefix(6);
  if (exif.size() < 8) return 1;
  const bool big_endian = exif[0] == 'M' && exif[1] == 'M';
  const bool little_endian = exif[0] == 'I' && exif[1] == 'I';
  const TiffReader tiff(exif, big_endian);
  if (!(big_endian || little_endian) || tiff.U16(2) != 42) return 1;
  const size_t directory = tiff.U32(4);
  const size_t entries = tiff.U16(directory);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > exif.size()) break;
    if (tiff.U16(entry) != kOrientationTag || tiff.U16(entry + 2) != kShort) continue;
    const uint32_t orientation = tiff.U16(entry + 8);
    return orientation >= 1 && orientation <= 8 ? static_cast<int>(orientation) : 1;
  }
  return 1;
}

RgbImage Upright(RgbImage stored, int orientation) {
  if (orientation <= 1 || orientation > 8) return stored;
  // EXIF 2.3, 4.6.4.A: which sides of the scene the stored first row and column are.
  const bool swap_sides = orientation >= 5;
  const bool mirror_y =
      orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  const bool mirror_x =
      orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  RgbImage out(swap_sides ? stored.width : stored.height,
               swap_sides ? stored.height : stored.width);
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const int turned_y = mirror_y ? out.height - 1 - y : y;
      const int turned_x = mirror_x ? out.width - 1 - x : x;
      CopyPixel(stored, swap_sides ? turned_x : turned_y, swap_sides ? turned_y : turned_x, &out, y,
                x);
    }
  }
  return out;
}

}  // namespace facet
