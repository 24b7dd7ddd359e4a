#include "services/audio/audio_encoder.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "services/audio/mel_features.h"
#include "services/encoder/soft_rows.h"

namespace facet {
namespace {

absl::Span<const uint8_t> BytesOf(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

absl::Status CheckLength(int64_t samples, bool split) {
  if (samples < kMinAudioSamples) {
    return absl::InvalidArgumentError(absl::StrCat("the audio has ", samples, " samples at ",
                                                   kAudioSampleRate, " a second; at least ",
                                                   kMinAudioSamples, " are needed"));
  }
  if (samples > kMaxAudioSamples && !split) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the audio is %.2f seconds long; at most %d, unless it may be split",
        static_cast<double>(samples) / kAudioSampleRate, kMaxAudioSamples / kAudioSampleRate));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<int64_t> CutAudio(int64_t samples) {
  std::vector<int64_t> pieces;
  while (samples > 0) {
    int64_t piece = std::min<int64_t>(samples, kMaxAudioSamples);
    const int64_t rest = samples - piece;
    if (rest > 0 && rest < kMinAudioSamples) piece = samples - kMinAudioSamples;
    pieces.push_back(piece);
    samples -= piece;
  }
  return pieces;
}

ContentKey AudioEncoder::Key(const Request& request) const {
  return MakeContentKey(request.split() ? "audio split" : "audio", {request.audio()});
}

absl::StatusOr<PreparedCall<std::vector<float>, AudioEncoder::Response>> AudioEncoder::Prepare(
    const Request& request, const StillWanted& wanted) const {
  FACET_ASSIGN_OR_RETURN(const std::vector<float> samples,
                         DecodeAudio(BytesOf(request.audio()), limits_));
  const auto count = static_cast<int64_t>(samples.size());
  FACET_RETURN_IF_ERROR(CheckLength(count, request.split()));
  FACET_RETURN_IF_ERROR(wanted());
  PreparedCall<Item, Response> call;
  call.response.set_seconds(static_cast<double>(count) / kAudioSampleRate);
  int64_t first = 0;
  for (const int64_t piece : CutAudio(count)) {
    call.items.push_back(
        {MelFeatures(absl::MakeConstSpan(samples).subspan(first, piece)), MelFrames(piece)});
    call.response.add_pieces();
    first += piece;
  }
  return call;
}

absl::StatusOr<std::vector<internal::SoftTokens>> AudioEncoder::Run(absl::Span<const Item> clips) {
  FACET_ASSIGN_OR_RETURN(const std::vector<SoftAudio> encoded, tower_->Encode(clips));
  std::vector<internal::SoftTokens> soft;
  for (const SoftAudio& clip : encoded) soft.push_back(ToWire(clip.soft, clip.count, row_type_));
  return soft;
}

int AudioEncoder::SoftCount(const Item& features) const {
  return (static_cast<int>(features.size()) / kMelBands + 3) / 4;  // of four frames each
}

internal::SoftTokens* AudioEncoder::SoftOf(Response& response, int item) {
  return response.mutable_pieces(item);
}

void AudioEncoder::Count(const Response& response, EncoderMetrics& metrics) {
  metrics.audio_seconds.Increment(response.seconds());
}

}  // namespace facet
