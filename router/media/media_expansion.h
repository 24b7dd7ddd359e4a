#ifndef FACET_ROUTER_MEDIA_MEDIA_EXPANSION_H_
#define FACET_ROUTER_MEDIA_MEDIA_EXPANSION_H_

// From a prompt with one placeholder for each medium to the prompt that the model sees. Pure
// functions.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "model/config.h"
#include "proto/facet/internal/encoder.pb.h"
#include "proto/facet/internal/shard_engine.pb.h"
#include "proto/facet/v1/media.pb.h"
#include "router/media/media_input.h"

namespace facet {

// An image, a frame of a video, a piece of audio.
struct EncodedPart {
  internal::SoftTokens soft;
  double timestamp_seconds = 0;  // of a frame
  std::string content_hash;      // 32 bytes, of all that `soft` depends on
};

struct EncodedMedium {
  v1::Media::Kind kind = v1::Media::KIND_UNSPECIFIED;
  std::vector<EncodedPart> parts;  // at least one
  double seconds = 0;              // of audio, video; 0: unknown
};

struct ExpandedPrompt {
  std::vector<int32_t> token_ids;
  std::vector<internal::MediaSpan> spans;  // by position
  std::vector<v1::MediaUsage> usage;       // in the order of the prompt
};

// Gives a request the media of its prompt.
void AddMedia(std::vector<internal::MediaSpan> spans, internal::SubmitRequest* submit);

// For each placeholder of the prompt, in order, the input that it stands for: the next of its kind.
// InvalidArgument, with both numbers, if there are more or fewer placeholders of a kind than media
// of it.
absl::StatusOr<std::vector<size_t>> MatchPlaceholders(const ModelConfig& config,
                                                      absl::Span<const int32_t> prompt,
                                                      const MediaInputs& inputs);

// "mm:ss", truncated; minutes may pass 99.
std::string FrameTime(double seconds);

// The tokens of the text around the frames of a video; empty: frames have no times.
using TokenizeText = std::function<absl::StatusOr<std::vector<int32_t>>(const std::string&)>;

// Replaces each placeholder of `prompt` by what its medium is: `media` has one for each, in their
// order.
//   image: begin, its soft tokens, end
//   video: of each frame "mm:ss ", and then as an image; a blank between frames
//   audio: begin, its soft tokens, end; the pieces of a long one behind each other
absl::StatusOr<ExpandedPrompt> ExpandPrompt(
    const ModelConfig& config, absl::Span<const int32_t> prompt,
    absl::Span<const std::shared_ptr<const EncodedMedium>> media, const TokenizeText& tokenize);

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_MEDIA_EXPANSION_H_
