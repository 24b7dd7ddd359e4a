#include "services/audio/audio_decoder.h"

#include <sndfile.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "services/audio/mel_features.h"
#include "services/audio/resample.h"

namespace facet {
namespace {

constexpr int kMinRate = 1000, kMaxRate = 384000;  // Hz
constexpr sf_count_t kBlockFrames = 4096;

// The file's bytes as libsndfile reads them.
struct Source {
  absl::Span<const uint8_t> bytes;
  sf_count_t place = 0;
};

sf_count_t Length(void* user) {
  return static_cast<sf_count_t>(static_cast<Source*>(user)->bytes.size());
}

sf_count_t Seek(sf_count_t offset, int whence, void* user) {
  auto* const source = static_cast<Source*>(user);
  const sf_count_t size = Length(user);
  const sf_count_t base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? source->place : size;
  source->place = std::clamp<sf_count_t>(base + offset, 0, size);
  return source->place;
}

sf_count_t Read(void* to, sf_count_t count, void* user) {
  auto* const source = static_cast<Source*>(user);
  const sf_count_t taken = std::min(count, Length(user) - source->place);
  std::memcpy(to, source->bytes.data() + source->place, static_cast<size_t>(taken));
  source->place += taken;
  return taken;
}

sf_count_t Tell(void* user) { return static_cast<Source*>(user)->place; }

struct Close {
  void operator()(SNDFILE* file) const { sf_close(file); }
};

absl::Status CheckInfo(const SF_INFO& info, const AudioLimits& limits) {
  if (info.samplerate < kMinRate || info.samplerate > kMaxRate) {
    return absl::InvalidArgumentError(absl::StrCat("the audio has ", info.samplerate,
                                                   " samples a second; allowed: ", kMinRate, " to ",
                                                   kMaxRate));
  }
  if (info.channels < 1 || info.channels > limits.max_channels) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the audio has ", info.channels, " channels; allowed: 1 to ", limits.max_channels));
  }
  return absl::OkStatus();
}

// All channels averaged, at the file's rate. The header's length is not trusted.
absl::StatusOr<std::vector<float>> ReadMono(SNDFILE* file, const SF_INFO& info,
                                            const AudioLimits& limits) {
  const auto most = static_cast<size_t>(limits.max_seconds * info.samplerate);
  std::vector<float> mono;
  std::vector<float> block(static_cast<size_t>(kBlockFrames * info.channels));
  sf_count_t frames = 0;
  while ((frames = sf_readf_float(file, block.data(), kBlockFrames)) > 0) {
    for (sf_count_t i = 0; i < frames; ++i) {
      double sum = 0;
      for (int c = 0; c < info.channels; ++c) sum += block[i * info.channels + c];
      mono.push_back(static_cast<float>(sum / info.channels));
    }
    if (mono.size() > most) {
      return absl::InvalidArgumentError(
          absl::StrCat("the audio is longer than ", limits.max_seconds, " seconds"));
    }
  }
  if (sf_error(file) != SF_ERR_NO_ERROR) {
    return absl::InvalidArgumentError(absl::StrCat("the audio is damaged: ", sf_strerror(file)));
  }
  return mono;
}

}  // namespace

absl::StatusOr<std::vector<float>> DecodeAudio(absl::Span<const uint8_t> bytes,
                                               const AudioLimits& limits) {
  if (bytes.empty()) return absl::InvalidArgumentError("the audio has no bytes");
  if (static_cast<int64_t>(bytes.size()) > limits.max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the audio has ", bytes.size(), " bytes, at most ", limits.max_bytes, " are allowed"));
  }
  Source source{bytes};
  SF_VIRTUAL_IO io = {Length, Seek, Read, nullptr, Tell};
  SF_INFO info = {};
  const std::unique_ptr<SNDFILE, Close> file(sf_open_virtual(&io, SFM_READ, &info, &source));
  if (file == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("the audio cannot be read as WAV, FLAC, MP3 or Ogg: ", sf_strerror(nullptr)));
  }
  FACET_RETURN_IF_ERROR(CheckInfo(info, limits));
  FACET_ASSIGN_OR_RETURN(std::vector<float> mono, ReadMono(file.get(), info, limits));
  for (float& sample : mono) {
    if (!(sample >= -16 && sample <= 16)) sample = 0;  // a float file's NaN or nonsense
  }
  return Resample(std::move(mono), info.samplerate, kAudioSampleRate);
}

}  // namespace facet
