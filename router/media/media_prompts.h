#ifndef FACET_ROUTER_MEDIA_MEDIA_PROMPTS_H_
#define FACET_ROUTER_MEDIA_MEDIA_PROMPTS_H_

// Prompts with media: what the encoders make of the media, put where the prompt says.

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "prometheus/registry.h"
#include "router/media/media_encoders.h"
#include "router/media/media_expansion.h"
#include "router/media/media_fetcher.h"
#include "router/media/media_input.h"
#include "router/media/media_metrics.h"
#include "router/served_model.h"

namespace facet {

// For whom a prompt is made.
struct MediaTarget {
  absl::Time deadline = absl::InfiniteFuture();
  std::stop_token cancelled;
  // Of the shard groups: what they compute in, which the encoders must too (empty: not compared),
  // and the most soft tokens of one image that they compute in a step (0: unknown).
  std::string dtype;
  int max_image_tokens = 0;
};

// Thread-safe.
class MediaPrompts {
 public:
  struct Options {
    MediaEncoders::Options encoders;  // what is of the model is set by MediaPrompts
    MediaFetcher::Options urls;
    int64_t max_media_bytes = int64_t{64} << 20;  // of one request's media together; >= 1
    int image_budget = 0;  // most soft tokens of an image that names none; 0: the encoder's

    // InvalidArgument names the flag.
    absl::Status Validate() const;
  };

  // `model` and `registry` must outlive it; one per registry.
  MediaPrompts(const ServedModel* model, Options options, prometheus::Registry& registry);

  // Before the prompt is known: see ValidateMedia and MediaFetcher::Check. FailedPrecondition also
  // if no encoder for a medium's kind is configured.
  absl::Status Validate(const MediaInputs& inputs) const;

  // The expanded prompt. Valid media are fetched where they are URLs, then encoded, each side by
  // side; the call blocks until all are, the deadline, or cancelled. Without media nothing is
  // called.
  //   InvalidArgument    placeholders and media do not match; a medium cannot be decoded or
  //   fetched;
  //                      an image may have more soft tokens than the groups take
  //   FailedPrecondition an encoder is of another checkpoint or dtype
  //   Unavailable        an encoder, or the server of a URL, does not answer: names it
  //   ResourceExhausted  too much to do; with a time to come again
  //   DeadlineExceeded, Cancelled
  absl::StatusOr<ExpandedPrompt> Make(std::vector<int32_t> prompt, const MediaInputs& inputs,
                                      const MediaTarget& target);

  // The same prompt, of whose soft tokens only the numbers are known. The encoders decode what is
  // new, and compute nothing.
  absl::StatusOr<ExpandedPrompt> Measure(std::vector<int32_t> prompt, const MediaInputs& inputs,
                                         const MediaTarget& target);

  // "image", "video", "audio": those that this model takes and an encoder is configured for.
  std::vector<std::string> Modalities() const;

 private:
  absl::StatusOr<ExpandedPrompt> Expand(std::vector<int32_t> prompt, const MediaInputs& inputs,
                                        const MediaTarget& target, bool count_only);
  int BudgetOf(const v1::Media& media) const;

  const ServedModel* const model_;
  const Options options_;
  MediaMetrics metrics_;
  MediaFetcher fetcher_;
  MediaEncoders encoders_;
};

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_MEDIA_PROMPTS_H_
