#ifndef FACET_SERVICES_AUDIO_TESTING_AUDIO_FILES_H_
#define FACET_SERVICES_AUDIO_TESTING_AUDIO_FILES_H_

// Audio files for tests, as callers send them.

#include <cstdint>
#include <vector>

namespace facet::testing {

// `frames` of a tone in the first channel, silence in the others.
std::vector<float> Tone(double hertz, int rate, int channels, int64_t frames,
                        double amplitude = 0.5);

// A file of interleaved samples; `format`: libsndfile's SF_FORMAT_... | SF_FORMAT_.... Fails the
// test if libsndfile cannot write it.
std::vector<uint8_t> WriteAudio(int format, int rate, int channels,
                                const std::vector<float>& samples);

}  // namespace facet::testing

#endif  // FACET_SERVICES_AUDIO_TESTING_AUDIO_FILES_H_
