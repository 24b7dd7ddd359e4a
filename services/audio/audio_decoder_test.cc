#include "services/audio/audio_decoder.h"

#include <sndfile.h>
#include <sys/resource.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/audio/mel_features.h"
#include "services/audio/testing/audio_files.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;
using testing::Tone;
using testing::WriteAudio;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr double kHertz = 440;
constexpr int kRounds = 190;  // of damage to each format: 2,000 in all

struct FormatCase {
  std::string name;
  int format;
  std::vector<int> rates;
  double length_tolerance;  // samples at 16 kHz: codecs that pad
  double noise;             // relative to the tone, in amplitude
};

std::vector<FormatCase> Formats() {
  const std::vector<int> all = {8000, 16000, 22050, 44100, 48000};
  return {{"wav_8_bits", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, all, 1, 0.03},
          {"wav_16_bits", SF_FORMAT_WAV | SF_FORMAT_PCM_16, all, 1, 0.01},
          {"wav_24_bits", SF_FORMAT_WAV | SF_FORMAT_PCM_24, all, 1, 0.01},
          {"wav_32_bits", SF_FORMAT_WAV | SF_FORMAT_PCM_32, all, 1, 0.01},
          {"wav_float", SF_FORMAT_WAV | SF_FORMAT_FLOAT, all, 1, 0.01},
          {"wav_a_law", SF_FORMAT_WAV | SF_FORMAT_ALAW, {8000}, 1, 0.05},
          {"flac_16_bits", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, all, 1, 0.01},
          {"flac_24_bits", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, all, 1, 0.01},
          {"ogg_vorbis", SF_FORMAT_OGG | SF_FORMAT_VORBIS, all, 1, 0.1},
          {"ogg_opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, {8000, 16000, 48000}, 1, 0.2},
          {"mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, all, 5000, 0.2}};
}

// Of this process so far, in bytes.
int64_t PeakMemory() {
  rusage usage = {};
  EXPECT_EQ(getrusage(RUSAGE_SELF, &usage), 0);
  return int64_t{usage.ru_maxrss} * 1024;
}

// How much of a signal, past its first and last tenth, is a tone: its amplitude, and that of the
// rest.
struct Spectrum {
  double tone = 0;
  double rest = 0;
};

Spectrum Analyse(const std::vector<float>& samples) {
  const size_t begin = samples.size() / 10, end = samples.size() - begin;
  double sine = 0, cosine = 0, power = 0;
  for (size_t i = begin; i < end; ++i) {
    const double angle = 2 * M_PI * kHertz * static_cast<double>(i) / kAudioSampleRate;
    sine += samples[i] * std::sin(angle);
    cosine += samples[i] * std::cos(angle);
    power += double{samples[i]} * samples[i];
  }
  const auto n = static_cast<double>(end - begin);
  const double tone = 2 * std::hypot(sine, cosine) / n;
  return {tone, std::sqrt(std::max(0.0, 2 * power / n - tone * tone))};
}

TEST(AudioDecoderTest, EveryFormatAtEveryRateBecomesTheSameToneInMono) {
  for (const FormatCase& c : Formats()) {
    for (const int rate : c.rates) {
      for (const int channels : {1, 2}) {
        const std::string what = absl::StrCat(c.name, " at ", rate, " Hz, ", channels);
        const auto file =
            WriteAudio(c.format, rate, channels, Tone(kHertz, rate, channels, int64_t{2} * rate));
        const auto samples = DecodeAudio(file, AudioLimits());
        ASSERT_THAT(samples, IsOk()) << what;
        EXPECT_NEAR(static_cast<double>(samples->size()), 2 * kAudioSampleRate, c.length_tolerance)
            << what;
        const Spectrum spectrum = Analyse(*samples);
        const double amplitude = 0.5 / channels;  // the other channel is silent
        EXPECT_NEAR(spectrum.tone, amplitude, 0.03 * amplitude) << what;
        EXPECT_LE(spectrum.rest, c.noise * amplitude) << what;
      }
    }
  }
}

TEST(AudioDecoderTest, SamplesAt16KilohertzAreTakenAsTheyAre) {
  const std::vector<float> written = {0, 0.5f, -0.5f, 0.25f, -1, 32767 / 32768.0f};
  const auto file = WriteAudio(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, written);
  const auto samples = DecodeAudio(file, AudioLimits());
  ASSERT_THAT(samples, IsOk());
  ASSERT_EQ(samples->size(), written.size());
  // libsndfile scales by 32767 when it writes.
  for (size_t i = 0; i < written.size(); ++i) EXPECT_NEAR((*samples)[i], written[i], 1.0f / 16384);
}

TEST(AudioDecoderTest, WhatIsNotANumberInAFloatFileIsSilence) {
  const float nan = std::nanf("");
  const auto file =
      WriteAudio(SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, {0.5f, nan, 1e30f, -INFINITY, 0.25f});
  const auto samples = DecodeAudio(file, AudioLimits());
  ASSERT_THAT(samples, IsOk());
  EXPECT_EQ(*samples, (std::vector<float>{0.5f, 0, 0, 0, 0.25f}));
}

TEST(AudioDecoderTest, LimitsAreNamedWithBothNumbers) {
  const auto file = WriteAudio(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 3, Tone(440, 8000, 3, 8000));
  AudioLimits bytes;
  bytes.max_bytes = static_cast<int64_t>(file.size());
  EXPECT_THAT(DecodeAudio(file, bytes), IsOk());
  --bytes.max_bytes;
  EXPECT_THAT(DecodeAudio(file, bytes),
              StatusIs(kInvalid, HasSubstr(absl::StrCat("has ", file.size(), " bytes, at most ",
                                                        bytes.max_bytes))));
  AudioLimits seconds;
  seconds.max_seconds = 0.9;
  EXPECT_THAT(DecodeAudio(file, seconds), StatusIs(kInvalid, HasSubstr("longer than 0.9 seconds")));
  AudioLimits channels;
  channels.max_channels = 2;
  EXPECT_THAT(DecodeAudio(file, channels),
              StatusIs(kInvalid, HasSubstr("3 channels; allowed: 1 to 2")));
}

TEST(AudioDecoderTest, WhatIsNoAudioIsRefusedWithTheFormatsThereAre) {
  EXPECT_THAT(DecodeAudio({}, AudioLimits()), StatusIs(kInvalid, HasSubstr("no bytes")));
  const std::vector<uint8_t> text(300, 'x');
  EXPECT_THAT(DecodeAudio(text, AudioLimits()),
              StatusIs(kInvalid, HasSubstr("WAV, FLAC, MP3 or Ogg")));
}

// Nor takes one long: all of them have the minute of a small test.
TEST(AudioDecoderTest, DamagedAndCutFilesNeverCrash) {
  std::mt19937 random(20260401);
  int decoded = 0;
  for (const FormatCase& c : Formats()) {
    const auto whole = WriteAudio(c.format, 16000, 2, Tone(kHertz, 16000, 2, 3000));
    for (int round = 0; round < kRounds; ++round) {
      std::vector<uint8_t> file = whole;
      if (round % 2 == 0) file.resize(random() % file.size() + 1);
      const size_t head = round % 3 == 0 ? std::min<size_t>(file.size(), 100) : file.size();
      for (int i = 0; i < round % 7; ++i) file[random() % head] = random() & 0xff;
      const auto samples = DecodeAudio(file, AudioLimits());
      decoded += samples.ok() ? 1 : 0;
      EXPECT_TRUE(samples.ok() || samples.status().code() == kInvalid) << samples.status();
    }
  }
  EXPECT_GT(decoded, 0);
}

// Headers that promise hours of sound before next to none, and lengths that reach past the end.
TEST(AudioDecoderTest, FalseLengthsCostNoMemory) {
  struct FalseLength {
    int format;
    std::string before;  // bytes in front of the place
    size_t skip;
    std::string length;
  };
  const std::string most(8, '\xff');
  const int64_t before = PeakMemory();
  for (const FalseLength& c : std::vector<FalseLength>{
           {SF_FORMAT_WAV | SF_FORMAT_PCM_16, "data", 0, most.substr(0, 4)},
           {SF_FORMAT_WAV | SF_FORMAT_PCM_16, "fmt ", 0, std::string("\xff\xff\xff\x7f")},
           {SF_FORMAT_WAV | SF_FORMAT_FLOAT, "fact", 4, most.substr(0, 4)},
           {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, "fLaC", 18, most.substr(0, 4)},
           {SF_FORMAT_OGG | SF_FORMAT_VORBIS, "OggS", 2, most},
           {SF_FORMAT_OGG | SF_FORMAT_OPUS, "OggS", 2,
            std::string("\xff\xff\xff\xff\xff\xff\xff\x7f")}}) {
    const auto whole = WriteAudio(c.format, 16000, 1, Tone(kHertz, 16000, 1, 3000));
    std::string file(whole.begin(), whole.end());
    const size_t last = file.rfind(c.before);
    ASSERT_NE(last, std::string::npos) << c.before;
    file.replace(last + c.before.size() + c.skip, c.length.size(), c.length);
    const auto samples =
        DecodeAudio({reinterpret_cast<const uint8_t*>(file.data()), file.size()}, AudioLimits());
    EXPECT_TRUE(samples.ok() || samples.status().code() == kInvalid) << samples.status();
    EXPECT_LE(samples.ok() ? samples->size() : 0, 3000u) << c.before;
  }
  EXPECT_LT(PeakMemory() - before, 64 << 20);
}

}  // namespace
}  // namespace facet
