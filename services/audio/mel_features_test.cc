#include "services/audio/mel_features.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace facet {
namespace {

// The definition, in double and without a fast transform: one frame of the model document's "Audio
// front end".
std::vector<double> ReferenceFrame(const std::vector<float>& samples, int frame) {
  std::vector<double> windowed(320);
  for (int j = 0; j < 320; ++j) {
    const int at = 160 * frame + j - 160;
    if (at < 0 || at >= static_cast<int>(samples.size())) continue;
    windowed[j] = samples[at] * (0.5 - 0.5 * std::cos(2 * M_PI * j / 320));
  }
  std::vector<double> magnitude;
  for (int k = 0; k <= 256; ++k) {
    std::complex<double> sum = 0;
    for (int j = 0; j < 320; ++j) sum += windowed[j] * std::polar(1.0, -2 * M_PI * k * j / 512);
    magnitude.push_back(std::abs(sum));
  }
  const auto edge = [](int i) {
    const double mel = 2595 * std::log10(1 + 8000.0 / 700) * i / 129;
    return 700 * (std::pow(10, mel / 2595) - 1);
  };
  std::vector<double> out;
  for (int b = 0; b < kMelBands; ++b) {
    double energy = 0.001;
    for (int k = 0; k <= 256; ++k) {
      const double f = k * 8000.0 / 256;
      const double rise = (f - edge(b)) / (edge(b + 1) - edge(b));
      const double fall = (edge(b + 2) - f) / (edge(b + 2) - edge(b + 1));
      energy += magnitude[k] * std::max(0.0, std::min(rise, fall));
    }
    out.push_back(std::log(energy));
  }
  return out;
}

TEST(MelFeaturesTest, AreTheDefinitionUpToTheRoundingOfTheTransform) {
  std::mt19937 random(3);
  std::normal_distribution<float> noise(0, 0.1f);
  for (const int size : {161, 320, 321, 1000, 2400}) {
    std::vector<float> samples(static_cast<size_t>(size));
    for (float& sample : samples) sample = noise(random);
    const std::vector<float> got = MelFeatures(samples);
    ASSERT_EQ(got.size(), static_cast<size_t>(MelFrames(size)) * kMelBands);
    for (int frame = 0; frame < MelFrames(size); ++frame) {
      const std::vector<double> want = ReferenceFrame(samples, frame);
      for (int b = 0; b < kMelBands; ++b) {
        ASSERT_NEAR(got[frame * kMelBands + b], want[b], 5e-4) << size << " " << frame << " " << b;
      }
    }
  }
}

struct CountCase {
  int64_t samples;
  int frames;
  int soft_tokens;
};

TEST(MelFeaturesTest, CountsAreThoseOfTheReference) {
  constexpr CountCase kCases[] = {{0, 0, 0},          {160, 0, 0},        {161, 1, 1},
                                  {1600, 9, 3},       {16000, 99, 25},    {80000, 499, 125},
                                  {160000, 999, 250}, {480000, 2999, 750}};
  for (const CountCase& c : kCases) {
    EXPECT_EQ(MelFrames(c.samples), c.frames) << c.samples;
    EXPECT_EQ(AudioSoftTokens(c.samples), c.soft_tokens) << c.samples;
  }
  EXPECT_EQ(MelFrames(kMinAudioSamples - 1), 0);
  EXPECT_EQ(AudioSoftTokens(kMinAudioSamples), 1);
}

TEST(MelFeaturesTest, SilenceIsTheFloorInEveryBand) {
  for (const float value : MelFeatures(std::vector<float>(1600))) {
    ASSERT_NEAR(value, std::log(0.001), 1e-5);
  }
}

}  // namespace
}  // namespace facet
