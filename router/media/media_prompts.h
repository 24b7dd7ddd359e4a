#ifndef FACET_ROUTER_MEDIA_MEDIA_PROMPTS_H_
#define FACET_ROUTER_MEDIA_MEDIA_PROMPTS_H_

// Prompts with media: what the encoders make of the media, put where the prompt says.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/content_cache.h"
#include "router/media/encoder_client.h"
#include "router/media/media_expansion.h"
#include "router/media/media_input.h"
#include "router/served_model.h"

namespace facet {

// Thread-safe.
class MediaPrompts {
 public:
  struct Options {
    std::vector<std::string> vision_encoders;  // host:port of each replica; none: no such media
    std::vector<std::string> audio_encoders;
    int64_t max_media_bytes = int64_t{64} << 20;  // of one request's media together; >= 1
    int64_t cache_bytes = int64_t{128} << 20;     // of soft tokens known already; 0: none
    int image_budget = 0;  // most soft tokens of an image that names none; 0: the encoder's
    absl::Duration timeout = absl::Minutes(5);  // of one medium, whatever the request's deadline

    // InvalidArgument names the option.
    absl::Status Validate() const;
  };

  // `model` must outlive it.
  MediaPrompts(const ServedModel* model, Options options);

  // Before the prompt is known: see ValidateMedia. FailedPrecondition also if no encoder for a
  // medium's kind is configured.
  absl::Status Validate(const MediaInputs& inputs) const;

  // The expanded prompt. Valid media are encoded side by side; the call blocks until all are, or
  // the deadline. Without media nothing is called.
  //   InvalidArgument    placeholders and media do not match; a medium cannot be decoded
  //   Unavailable        an encoder does not answer: names it
  //   ResourceExhausted  an encoder has too much to do; with a time to come again
  //   DeadlineExceeded
  absl::StatusOr<ExpandedPrompt> Make(std::vector<int32_t> prompt, const MediaInputs& inputs,
                                      absl::Time deadline);

  // "image", "video", "audio": those that this model takes and an encoder is configured for.
  std::vector<std::string> Modalities() const;

 private:
  struct Job;

  bool HasEncoder(v1::Media::Kind kind) const;
  void Begin(const std::shared_ptr<Job>& job, absl::Time deadline);
  absl::Status Take(const internal::EncodeVisionResponse& response, Job* job) const;
  absl::Status Take(const internal::EncodeAudioResponse& response, Job* job) const;
  absl::Status AddPart(const internal::SoftTokens& soft, double timestamp, Job* job) const;
  absl::Status EncodeAll(const std::vector<std::shared_ptr<Job>>& jobs, absl::Time deadline);

  const ServedModel* const model_;
  const Options options_;
  ContentCache<EncodedMedium> cache_;
  VisionClient vision_;
  AudioClient audio_;
};

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_MEDIA_PROMPTS_H_
