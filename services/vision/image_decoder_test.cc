#include "services/vision/image_decoder.h"

#include <sys/resource.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/safetensors.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

constexpr char kImages[] = "services/vision/testdata/images.safetensors";
constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr int kRounds = 60;  // of damage to each sample: 2,000 and more in all

// An image file of make_images.py with its pixels.
struct Sample {
  std::string name;
  std::vector<uint8_t> file;
  int height = 0;
  int width = 0;
  std::vector<uint8_t> rgb;
};

std::vector<uint8_t> Copy(absl::Span<const uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

const std::vector<Sample>& Samples() {
  static const auto* samples = [] {
    auto* out = new std::vector<Sample>;
    auto file = SafetensorsFile::Open(kImages);
    EXPECT_THAT(file, IsOk());
    for (const SafetensorsEntry& entry : file->entries()) {
      if (absl::EndsWith(entry.name, ".file")) {
        const std::string name = entry.name.substr(0, entry.name.size() - 5);
        out->push_back({name, Copy(file->bytes(entry)), 0, 0, {}});
      }
    }
    for (const SafetensorsEntry& entry : file->entries()) {
      for (Sample& sample : *out) {
        if (entry.name != sample.name + ".rgb") continue;
        sample.height = static_cast<int>(entry.shape[0]);
        sample.width = static_cast<int>(entry.shape[1]);
        sample.rgb = Copy(file->bytes(entry));
      }
    }
    return out;
  }();
  return *samples;
}

// Of this process so far, in bytes.
int64_t PeakMemory() {
  rusage usage = {};
  EXPECT_EQ(getrusage(RUSAGE_SELF, &usage), 0);
  return int64_t{usage.ru_maxrss} * 1024;
}

const Sample& Find(const std::string& name) {
  for (const Sample& sample : Samples()) {
    if (sample.name == name) return sample;
  }
  ADD_FAILURE() << "no sample " << name;
  return Samples()[0];
}

TEST(ImageDecoderTest, EveryKindOfFileGivesThePixelsThatPillowSees) {
  ASSERT_GE(Samples().size(), 40u);
  for (const Sample& sample : Samples()) {
    const auto image = DecodeImage(sample.file, ImageLimits());
    ASSERT_THAT(image, IsOk()) << sample.name;
    EXPECT_EQ(image->height, sample.height) << sample.name;
    EXPECT_EQ(image->width, sample.width) << sample.name;
    EXPECT_EQ(image->pixels, sample.rgb) << sample.name;
  }
}

TEST(ImageDecoderTest, AFileOfNoKnownFormatIsRefusedWithTheFormatsThereAre) {
  const std::vector<uint8_t> text = {'h', 'e', 'l', 'l', 'o', ' ', 'w', 'o', 'r', 'l', 'd'};
  EXPECT_THAT(DecodeImage(text, ImageLimits()),
              StatusIs(kInvalid, HasSubstr("JPEG, PNG, WebP, GIF")));
  EXPECT_THAT(DecodeImage({}, ImageLimits()), StatusIs(kInvalid, HasSubstr("no bytes")));
}

TEST(ImageDecoderTest, AFileAtTheLimitOfBytesIsReadAndOneByteMoreIsRefusedWithBothNumbers) {
  const Sample& sample = Find("png_rgb");
  ImageLimits limits;
  limits.max_bytes = static_cast<int64_t>(sample.file.size());
  EXPECT_THAT(DecodeImage(sample.file, limits), IsOk());
  --limits.max_bytes;
  EXPECT_THAT(DecodeImage(sample.file, limits),
              StatusIs(kInvalid,
                       HasSubstr("has " + std::to_string(sample.file.size()) + " bytes, at most " +
                                 std::to_string(limits.max_bytes) + " are allowed")));
}

TEST(ImageDecoderTest, TooManyPixelsAreRefusedInEveryFormatBeforeTheyAreDecoded) {
  ImageLimits limits;
  limits.max_pixels = 26 * 18;
  for (const char* name : {"jpeg_444", "png_rgb", "webp_lossy", "gif"}) {
    EXPECT_THAT(DecodeImage(Find(name).file, limits), IsOk()) << name;
  }
  --limits.max_pixels;
  for (const char* name : {"jpeg_444", "png_rgb", "webp_lossy", "gif"}) {
    EXPECT_THAT(DecodeImage(Find(name).file, limits),
                StatusIs(kInvalid, HasSubstr("26 x 18 pixels, together more than 467")))
        << name;
  }
}

TEST(ImageLimitsTest, ASmallFileThatUnpacksToALargePictureIsRefused) {
  ImageLimits limits;
  // 60 million bytes: above max_ratio_from, at 400 for each of the file.
  EXPECT_THAT(limits.CheckSize(5000, 4000, 150000), IsOk());
  EXPECT_THAT(limits.CheckSize(5000, 4000, 149999),
              StatusIs(kInvalid, HasSubstr("from 149999 to 60000000 bytes, more than 400")));
  EXPECT_THAT(limits.CheckSize(4000, 4000, 100), IsOk());  // small enough whatever the file
  EXPECT_THAT(limits.CheckSize(0, 4000, 100), StatusIs(kInvalid, HasSubstr("at least 1 x 1")));
  EXPECT_THAT(limits.CheckSize(int64_t{1} << 31, int64_t{1} << 31, 100),
              StatusIs(kInvalid, HasSubstr("together more than")));
}

TEST(ImageDecoderTest, AFileThatIsCutOffIsRefusedWherePixelsAreMissing) {
  for (const Sample& sample : Samples()) {
    const std::vector<uint8_t> half(
        sample.file.begin(), sample.file.begin() + static_cast<long>(sample.file.size() / 2));
    const auto image = DecodeImage(half, ImageLimits());
    // Half of an animation may hold the whole first frame.
    if (absl::EndsWith(sample.name, "_animated") && image.ok()) continue;
    EXPECT_THAT(image, StatusIs(kInvalid)) << sample.name;
  }
}

TEST(ImageDecoderTest, FilesCutAtAnyByteNeverCrash) {
  for (const Sample& sample : Samples()) {
    for (size_t size = 0; size < sample.file.size(); size += 1 + size / 40) {
      const auto image = DecodeImage({sample.file.data(), size}, ImageLimits());
      EXPECT_TRUE(image.ok() || image.status().code() == kInvalid) << image.status();
    }
  }
}

// Nor takes one long: all of them have the minute of a small test.
TEST(ImageDecoderTest, DamagedFilesNeverCrash) {
  std::mt19937 random(20260401);
  ImageLimits limits;
  limits.max_pixels = 1 << 20;  // a damaged size is refused, or soon decoded
  int decoded = 0;
  for (const Sample& sample : Samples()) {
    for (int round = 0; round < kRounds; ++round) {
      std::vector<uint8_t> file = sample.file;
      const int changes = 1 + static_cast<int>(random() % 8);
      for (int i = 0; i < changes; ++i) file[random() % file.size()] = random() & 0xff;
      const auto image = DecodeImage(file, limits);
      decoded += image.ok() ? 1 : 0;
      EXPECT_TRUE(image.ok() || image.status().code() == kInvalid) << image.status();
    }
  }
  EXPECT_GT(decoded, 0);
}

// Headers that promise more than any memory holds, before next to no pixels.
TEST(ImageDecoderTest, FalseSizesCostNoMemory) {
  struct FalseSize {
    const char* sample;
    const char* before;  // bytes in front of the place
    size_t bytes_before;
    size_t skip;
    const char* size;
    size_t size_bytes;
  };
  const int64_t before = PeakMemory();
  for (const FalseSize& c :
       {FalseSize{"png_rgb", "IHDR", 4, 0, "\x7f\xff\xff\xff\x7f\xff\xff\xff", 8},
        FalseSize{"png_rgb", "IHDR", 4, 0, "\0\0\x1f\xff\0\0\x1f\xff", 8},
        FalseSize{"jpeg_progressive", "\xff\xc2", 2, 3, "\xff\xff\xff\xff", 4},
        FalseSize{"jpeg_444", "\xff\xc0", 2, 3, "\x1f\xff\x1f\xff", 4},
        FalseSize{"webp_lossless", "VP8L", 4, 5, "\xff\xff\xff\x0f", 4},
        FalseSize{"webp_lossy", "\x9d\x01\x2a", 3, 0, "\xff\x3f\xff\x3f", 4},
        FalseSize{"gif", "GIF8", 4, 2, "\xff\xff\xff\xff", 4}}) {
    std::vector<uint8_t> file = Find(c.sample).file;
    const auto found = std::search(file.begin(), file.end(), c.before, c.before + c.bytes_before,
                                   [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); });
    ASSERT_NE(found, file.end()) << c.sample;
    std::copy_n(c.size, c.size_bytes, found + static_cast<long>(c.bytes_before + c.skip));
    EXPECT_THAT(DecodeImage(file, ImageLimits()), StatusIs(kInvalid)) << c.sample;
  }
  EXPECT_LT(PeakMemory() - before, 64 << 20);
}

}  // namespace
}  // namespace facet
