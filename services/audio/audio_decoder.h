#ifndef FACET_SERVICES_AUDIO_AUDIO_DECODER_H_
#define FACET_SERVICES_AUDIO_AUDIO_DECODER_H_

// An audio file's bytes to what the model hears: mono, 16 kHz.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace facet {

struct AudioLimits {
  int64_t max_bytes = 64 << 20;  // of the file
  double max_seconds = 600;      // of a file that is to be split
  int max_channels = 16;
};

// Samples in [-1, 1] at kAudioSampleRate, channels averaged. WAV, FLAC, MP3, Ogg (Vorbis, Opus) at
// any rate from 1 to 384 kHz. InvalidArgument says what is wrong: an unknown format (with the
// formats there are), a limit (with the numbers), or a file that is damaged. Files at 16 kHz are
// taken as they are; others are resampled with a band-limited filter. Thread-safe.
absl::StatusOr<std::vector<float>> DecodeAudio(absl::Span<const uint8_t> bytes,
                                               const AudioLimits& limits);

}  // namespace facet

#endif  // FACET_SERVICES_AUDIO_AUDIO_DECODER_H_
