#include "services/vision/testing/plain_png.h"

#include <png.h>

#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace facet::testing {

std::string PlainPng(int height, int width) {
  std::mt19937 random(7);
  std::vector<uint8_t> row(static_cast<size_t>(width) * 3);
  std::string out;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &out,
      [](png_structp writer, png_bytep bytes, png_size_t count) {
        static_cast<std::string*>(png_get_io_ptr(writer))
            ->append(reinterpret_cast<const char*>(bytes), count);
      },
      nullptr);
  png_set_compression_level(png, 0);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), 8,
               PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (int y = 0; y < height; ++y) {
    for (uint8_t& value : row) value = random() & 0xff;
    png_write_row(png, row.data());
  }
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  EXPECT_GT(out.size(), row.size() * static_cast<size_t>(height));
  return out;
}

}  // namespace facet::testing
