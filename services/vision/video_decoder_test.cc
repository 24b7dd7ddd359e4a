#include "services/vision/video_decoder.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/vision/testing/video_files.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::LumaOfFrame;
using testing::MakeVideo;
using testing::StatusIs;
using testing::VideoSpec;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr int kFrames = 32;
constexpr int kRounds = 500;  // of damage to each kind: 2,000 in all

absl::Status Wanted() { return absl::OkStatus(); }

struct Taken {
  RgbImage image;
  double seconds = 0;
};

absl::StatusOr<double> Decode(const std::vector<uint8_t>& file, const VideoLimits& limits,
                              std::vector<Taken>* frames) {
  return DecodeVideo(file, limits, kFrames, Wanted, [frames](RgbImage image, double seconds) {
    frames->push_back({std::move(image), seconds});
    return absl::OkStatus();
  });
}

// Luma 16..235 is black to white.
double GreyOfFrame(int i) { return (LumaOfFrame(i) - 16) * 255.0 / 219; }

double Mean(const RgbImage& image) {
  double sum = 0;
  for (const uint8_t value : image.pixels) sum += value;
  return sum / static_cast<double>(image.pixels.size());
}

// Whether `frames` are those of a video of `total` that the reference takes.
void ExpectReferenceFrames(const std::vector<Taken>& frames, int total, double rate,
                           const std::string& what) {
  const int count = std::min(total, kFrames);
  ASSERT_EQ(frames.size(), static_cast<size_t>(count)) << what;
  for (int i = 0; i < count; ++i) {
    const int index = i * total / count;
    EXPECT_NEAR(Mean(frames[i].image), GreyOfFrame(index), 3) << what << ", frame " << i;
    EXPECT_NEAR(frames[i].seconds, index / rate, 1e-6) << what << ", frame " << i;
  }
}

TEST(VideoDecoderTest, TakesTheFramesOfTheReferenceInEveryContainerAndAtOddRates) {
  const std::vector<VideoSpec> specs = {
      {.container = "mp4", .codec = "mpeg4", .frames = 40, .rate = 25},
      {.container = "mp4", .codec = "libx264", .frames = 77, .rate = 30000, .rate_base = 1001},
      {.container = "webm", .codec = "libvpx", .frames = 64, .rate = 10},
      {.container = "webm", .codec = "libvpx-vp9", .frames = 33, .rate = 50},
      {.container = "mp4", .codec = "mpeg4", .frames = 32, .rate = 7},
      {.container = "mp4", .codec = "mpeg4", .frames = 5, .rate = 12},
      {.container = "webm", .codec = "libvpx", .frames = 1, .rate = 25}};
  for (const VideoSpec& spec : specs) {
    const std::string what =
        absl::StrCat(spec.codec, " ", spec.frames, " at ", spec.rate, "/", spec.rate_base);
    const double rate = static_cast<double>(spec.rate) / spec.rate_base;
    std::vector<Taken> frames;
    const auto seconds = Decode(MakeVideo(spec), VideoLimits(), &frames);
    ASSERT_THAT(seconds, IsOk()) << what;
    // WebM has times in milliseconds, of which FFmpeg guesses the rate.
    if (spec.container == "webm" && spec.frames == 1) continue;
    EXPECT_NEAR(*seconds, spec.frames / rate, 1e-6) << what;
    ExpectReferenceFrames(frames, spec.frames, rate, what);
  }
}

TEST(VideoDecoderTest, FramesAreTurnedAsThePlayerIsAsked) {
  std::vector<Taken> frames;
  ASSERT_THAT(Decode(MakeVideo({.frames = 2, .turn = 90}), VideoLimits(), &frames), IsOk());
  EXPECT_EQ(frames[0].image.height, 64);
  EXPECT_EQ(frames[0].image.width, 48);
}

TEST(VideoDecoderTest, LimitsAreNamedWithTheNumbers) {
  const std::vector<uint8_t> file = MakeVideo({.frames = 20});
  std::vector<Taken> frames;
  VideoLimits bytes;
  bytes.max_bytes = static_cast<int64_t>(file.size()) - 1;
  EXPECT_THAT(Decode(file, bytes, &frames),
              StatusIs(kInvalid, HasSubstr(absl::StrCat("has ", file.size(), " bytes, at most"))));
  VideoLimits pixels;
  pixels.max_pixels = 64 * 48 - 1;
  EXPECT_THAT(Decode(file, pixels, &frames),
              StatusIs(kInvalid, HasSubstr("64 x 48 pixels, at most 3071 are allowed")));
  VideoLimits length;
  length.max_source_frames = 19;
  EXPECT_THAT(Decode(file, length, &frames), StatusIs(kInvalid, HasSubstr("more than 19 frames")));
  VideoLimits work;
  work.max_source_pixels = int64_t{64} * 48 * 20 - 1;
  EXPECT_THAT(Decode(file, work, &frames), StatusIs(kInvalid, HasSubstr("61439 pixels together")));
  EXPECT_TRUE(frames.empty());
  ++work.max_source_pixels;
  EXPECT_THAT(Decode(file, work, &frames), IsOk());
}

TEST(VideoDecoderTest, WhatIsNoVideoIsRefusedAndNoPlaylistIsFollowed) {
  std::vector<Taken> frames;
  for (const std::string& text :
       {std::string("hello"), std::string(3000, 'x'),
        std::string("#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"),
        std::string("ffconcat version 1.0\nfile /etc/hostname\n")}) {
    const std::vector<uint8_t> file(text.begin(), text.end());
    EXPECT_THAT(Decode(file, VideoLimits(), &frames), StatusIs(kInvalid)) << text;
  }
  EXPECT_THAT(Decode({}, VideoLimits(), &frames), StatusIs(kInvalid, HasSubstr("no bytes")));
}

TEST(VideoDecoderTest, EndsOnceNobodyWantsIt) {
  const std::vector<uint8_t> file = MakeVideo({.frames = 20});
  int asked = 0;
  const auto seconds = DecodeVideo(
      file, VideoLimits(), kFrames,
      [&asked] { return ++asked < 5 ? absl::OkStatus() : absl::CancelledError("left"); },
      [](RgbImage, double) { return absl::OkStatus(); });
  EXPECT_THAT(seconds, StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(asked, 5);
}

// Nor takes one long: all of them have the minute of a small test.
TEST(VideoDecoderTest, DamagedAndCutFilesNeverCrash) {
  std::mt19937 random(20260401);
  VideoLimits limits;
  limits.max_pixels = 1 << 20;
  limits.max_source_frames = 200;
  int decoded = 0;
  for (const VideoSpec& spec :
       {VideoSpec{.frames = 12}, VideoSpec{.codec = "libx264", .frames = 12},
        VideoSpec{.container = "webm", .codec = "libvpx", .frames = 12},
        VideoSpec{.container = "webm", .codec = "libvpx-vp9", .frames = 12}}) {
    const std::vector<uint8_t> whole = MakeVideo(spec);
    for (int round = 0; round < kRounds; ++round) {
      std::vector<uint8_t> file = whole;
      if (round % 3 == 0) file.resize(random() % file.size() + 1);
      for (int i = 0; i < round % 9; ++i) file[random() % file.size()] = random() & 0xff;
      std::vector<Taken> frames;
      const auto seconds = Decode(file, limits, &frames);
      decoded += seconds.ok() ? 1 : 0;
      EXPECT_TRUE(seconds.ok() || seconds.status().code() == kInvalid) << seconds.status();
    }
  }
  EXPECT_GT(decoded, 0);
}

// Writes `numbers`, big-endian, `skip` bytes behind the name of a box.
void Falsify(std::vector<uint8_t>& file, const std::string& box, size_t skip,
             const std::vector<uint32_t>& numbers) {
  auto place = std::search(file.begin(), file.end(), box.begin(), box.end());
  ASSERT_NE(place, file.end()) << box;
  place += static_cast<long>(box.size() + skip);
  for (const uint32_t number : numbers) {
    for (int shift = 24; shift >= 0; shift -= 8) *place++ = static_cast<uint8_t>(number >> shift);
  }
}

// Tables that promise millions of samples in a file of a few thousand bytes.
TEST(VideoDecoderTest, FalseTablesOfSamplesCostLittleMemory) {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const int64_t before = usage.ru_maxrss;
  for (const uint32_t count : {0x00ffffffu, 0x0fffffffu, 0x7fffffffu, 0xffffffffu}) {
    std::vector<uint8_t> file = MakeVideo({.frames = 4});
    Falsify(file, "stsz", 4, {1, count});     // each of one byte
    Falsify(file, "stsc", 8, {1, count, 1});  // all in the first chunk
    Falsify(file, "stts", 8, {count, 1});
    std::vector<Taken> frames;
    VideoLimits limits;
    limits.max_source_frames = 200;
    const auto seconds = Decode(file, limits, &frames);
    EXPECT_TRUE(seconds.ok() || seconds.status().code() == kInvalid) << seconds.status();
    std::vector<uint8_t> sizes = MakeVideo({.frames = 4});
    Falsify(sizes, "stsz", 8, {count});
    EXPECT_TRUE(!Decode(sizes, limits, &frames).ok() || frames.size() <= 8) << count;
  }
  getrusage(RUSAGE_SELF, &usage);
  EXPECT_LT((usage.ru_maxrss - before) >> 10, 160);  // MiB
}

}  // namespace
}  // namespace facet
