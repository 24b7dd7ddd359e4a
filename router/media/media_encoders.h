#ifndef FACET_ROUTER_MEDIA_MEDIA_ENCODERS_H_
#define FACET_ROUTER_MEDIA_MEDIA_ENCODERS_H_

// What the encoders make of media, and what of it is remembered.

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/content_cache.h"
#include "router/media/encoder_client.h"
#include "router/media/media_expansion.h"
#include "router/media/media_input.h"
#include "router/media/media_metrics.h"

namespace facet {

// Thread-safe.
class MediaEncoders {
 public:
  struct Options {
    // host:port of each replica, dns:///name:port of several; none: no such media
    std::vector<std::string> vision;
    std::vector<std::string> audio;
    int64_t cache_bytes = int64_t{128} << 20;        // of soft tokens known already; 0: none
    absl::Duration timeout = absl::Minutes(5);       // of one medium, whatever its deadline
    absl::Duration ping_timeout = absl::Seconds(5);  // of an encoder that has calls
    int hidden_size = 0;                             // of a row; >= 1
    std::string fingerprint;  // of the checkpoint, which encoders must have; empty: not compared

    // InvalidArgument names the flag.
    absl::Status Validate() const;
  };

  // For whom a medium is encoded.
  struct Call {
    absl::Time deadline = absl::InfiniteFuture();
    std::stop_token cancelled;
    std::string dtype;  // of the model that reads the rows; empty: not compared
    // The answers have no rows: what is not known yet is decoded, and nothing is computed.
    bool count_only = false;
  };

  struct Medium {
    MediaInput input;  // of bytes or frames
    int budget = 0;    // of an image or frame; 0: the encoder's default
  };
  struct Encoded {
    std::shared_ptr<const EncodedMedium> medium;
    bool cached = false;
  };

  // `metrics` must outlive it.
  MediaEncoders(Options options, MediaMetrics* metrics);

  bool Has(v1::Media::Kind kind) const;

  // Of each medium what it became, in their order; side by side. Blocks until all are there or one
  // has failed, the deadline, or cancelled. Errors name the medium, and are the encoders' own;
  // Unavailable and FailedPrecondition name the encoder.
  absl::StatusOr<std::vector<Encoded>> Encode(const std::vector<Medium>& media, const Call& call);

 private:
  struct Job;

  void Begin(const std::shared_ptr<Job>& job, const Call& call);
  template <typename Response>
  void End(Job& job, const absl::StatusOr<Response>& response);
  absl::Status Take(const internal::EncodeVisionResponse& response, Job& job) const;
  absl::Status Take(const internal::EncodeAudioResponse& response, Job& job) const;
  absl::Status AddPart(const internal::SoftTokens& soft, double timestamp, Job& job) const;

  const Options options_;
  MediaMetrics& metrics_;
  ContentCache<EncodedMedium> cache_;
  VisionClient vision_;
  AudioClient audio_;
};

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_MEDIA_ENCODERS_H_
