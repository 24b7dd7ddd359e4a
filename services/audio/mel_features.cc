#include "services/audio/mel_features.h"

#include <kissfft/kiss_fftr.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "base/log.h"

namespace facet {
namespace {

constexpr int kFrame = 320;  // samples of a frame
constexpr int kFft = 512;
constexpr int kBins = kFft / 2 + 1;
constexpr int kLeadIn = 160;       // zeros in front of the first sample
constexpr double kHighest = 8000;  // Hz, of the last band's upper edge
constexpr float kFloor = 0.001f;   // added before the logarithm

using Window = std::array<float, kFrame>;
struct MelBank {
  struct Band {
    int first = 0;               // bin of weights[0]
    std::vector<float> weights;  // none where a band falls between two bins
  };
  std::array<Band, kMelBands> bands;
};

// HTK: m = 2595 log10(1 + f / 700).
double ToMel(double hertz) { return 2595 * std::log10(1 + hertz / 700); }
double ToHertz(double mel) { return 700 * (std::pow(10, mel / 2595) - 1); }

Window MakeWindow() {  // periodic Hann
  Window window;
  for (int j = 0; j < kFrame; ++j) {
    window[j] = static_cast<float>(0.5 - 0.5 * std::cos(2 * M_PI * j / kFrame));
  }
  return window;
}

// Triangles between edges that are equally far apart on the mel scale; peak 1, not normalised.
MelBank MakeBank() {
  std::array<double, kMelBands + 2> edges;
  for (int i = 0; i < kMelBands + 2; ++i) edges[i] = ToHertz(ToMel(kHighest) * i / (kMelBands + 1));
  MelBank bank;
  for (int b = 0; b < kMelBands; ++b) {
    MelBank::Band& band = bank.bands[b];
    for (int k = 0; k < kBins; ++k) {
      const double hertz = k * kHighest / (kBins - 1);
      const double rise = (hertz - edges[b]) / (edges[b + 1] - edges[b]);
      const double fall = (edges[b + 2] - hertz) / (edges[b + 2] - edges[b + 1]);
      const double weight = std::min(rise, fall);
      if (weight <= 0) continue;
      if (band.weights.empty()) band.first = k;
      band.weights.push_back(static_cast<float>(weight));
    }
  }
  return bank;
}

struct FftFree {
  void operator()(kiss_fftr_state* state) const { kiss_fftr_free(state); }
};

void BandsOf(const std::array<kiss_fft_cpx, kBins>& spectrum, const MelBank& bank, float* out) {
  std::array<float, kBins> magnitude;
  for (int k = 0; k < kBins; ++k)
    magnitude[k] = std::sqrt(spectrum[k].r * spectrum[k].r + spectrum[k].i * spectrum[k].i);
  for (int b = 0; b < kMelBands; ++b) {
    const MelBank::Band& band = bank.bands[b];
    double energy = 0;
    for (size_t i = 0; i < band.weights.size(); ++i) {
      energy += double{magnitude[band.first + i]} * band.weights[i];
    }
    out[b] = std::log(static_cast<float>(energy) + kFloor);
  }
}

}  // namespace

int MelFrames(int64_t samples) {
  // Frame i begins 160 samples early and must end before the last real sample does.
  return static_cast<int>(std::max<int64_t>(0, (samples + kMelHop - 1) / kMelHop - 1));
}

int AudioSoftTokens(int64_t samples) { return (MelFrames(samples) + 3) / 4; }

std::vector<float> MelFeatures(absl::Span<const float> samples) {
  static const Window window = MakeWindow();
  static const MelBank bank = MakeBank();
  const int frames = MelFrames(static_cast<int64_t>(samples.size()));
  std::vector<float> out(static_cast<size_t>(frames) * kMelBands);
  const std::unique_ptr<kiss_fftr_state, FftFree> fft(kiss_fftr_alloc(kFft, 0, nullptr, nullptr));
  FACET_CHECK(fft != nullptr) << "no memory for a transform of " << kFft;
  std::array<float, kFft> frame = {};
  std::array<kiss_fft_cpx, kBins> spectrum;
  const auto size = static_cast<int64_t>(samples.size());
  for (int i = 0; i < frames; ++i) {
    for (int j = 0; j < kFrame; ++j) {
      const int64_t at = int64_t{kMelHop} * i + j - kLeadIn;
      frame[j] = at >= 0 && at < size ? samples[at] * window[j] : 0.0f;
    }
    kiss_fftr(fft.get(), frame.data(), spectrum.data());
    BandsOf(spectrum, bank, out.data() + static_cast<size_t>(i) * kMelBands);
  }
  return out;
}

}  // namespace facet
