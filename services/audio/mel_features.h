#ifndef FACET_SERVICES_AUDIO_MEL_FEATURES_H_
#define FACET_SERVICES_AUDIO_MEL_FEATURES_H_

// The features of audio that the tower hears: log-mel energies of 20 ms every 10 ms, as the
// reference's feature extractor makes them (the model document, "Audio front end").

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace facet {

inline constexpr int kAudioSampleRate = 16000;  // Hz
inline constexpr int kMelBands = 128;
inline constexpr int kMelHop = 160;           // samples between two frames
inline constexpr int kMinAudioSamples = 161;  // fewer give no frame
inline constexpr int kMaxAudioSamples = 30 * kAudioSampleRate;

// Frames of `samples` samples, those of padding left out; 0 below 161 samples.
int MelFrames(int64_t samples);

// Soft tokens of `samples` samples.
int AudioSoftTokens(int64_t samples);

// [MelFrames, kMelBands] of mono samples in [-1, 1] at kAudioSampleRate. Thread-safe.
std::vector<float> MelFeatures(absl::Span<const float> samples);

}  // namespace facet

#endif  // FACET_SERVICES_AUDIO_MEL_FEATURES_H_
