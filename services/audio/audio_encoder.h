#ifndef FACET_SERVICES_AUDIO_AUDIO_ENCODER_H_
#define FACET_SERVICES_AUDIO_AUDIO_ENCODER_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/content_cache.h"
#include "base/dtype.h"
#include "proto/facet/internal/encoder.grpc.pb.h"
#include "proto/facet/internal/encoder.pb.h"
#include "services/audio/audio_decoder.h"
#include "services/audio/audio_tower.h"
#include "services/encoder/encode_pipeline.h"
#include "services/encoder/encoder_metrics.h"
#include "services/encoder/still_wanted.h"

namespace facet {

// Where audio of `samples` samples is cut: the lengths of its pieces, each as long as the model
// takes at once but for the end. No piece is too short for a soft token: the last but one gives up
// what the last lacks. `samples` >= kMinAudioSamples.
std::vector<int64_t> CutAudio(int64_t samples);

// Audio for an EncodePipeline (services/encoder/encode_pipeline.h says what each function is for
// and from which thread). An item is a piece's mel features; it costs its frames.
class AudioEncoder {
 public:
  using Service = internal::AudioEncoder;
  using Request = internal::EncodeAudioRequest;
  using Response = internal::EncodeAudioResponse;
  using Item = std::vector<float>;

  // `row_type`: of the soft tokens, kF32 or kBF16.
  AudioEncoder(std::unique_ptr<AudioTower> tower, const AudioLimits& limits, DType row_type)
      : tower_(std::move(tower)), limits_(limits), row_type_(row_type) {}

  int hidden_size() const { return tower_->config().text_hidden_size; }

  ContentKey Key(const Request& request) const;
  absl::StatusOr<PreparedCall<Item, Response>> Prepare(const Request& request,
                                                       const StillWanted& wanted) const;
  absl::StatusOr<std::vector<internal::SoftTokens>> Run(absl::Span<const Item> clips);
  int SoftCount(const Item& features) const;
  static int Parts(const Response& response) { return response.pieces_size(); }
  static internal::SoftTokens* SoftOf(Response& response, int item);
  static void Count(const Response& response, EncoderMetrics& metrics);

 private:
  const std::unique_ptr<AudioTower> tower_;
  const AudioLimits limits_;
  const DType row_type_;
};

}  // namespace facet

#endif  // FACET_SERVICES_AUDIO_AUDIO_ENCODER_H_
