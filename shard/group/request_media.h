#ifndef FACET_SHARD_GROUP_REQUEST_MEDIA_H_
#define FACET_SHARD_GROUP_REQUEST_MEDIA_H_

// The soft tokens that a request brings along, as the router hands them to a group.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "shard/cache/block_hash.h"
#include "shard/scheduler/prompt_media.h"
#include "shard/soft_tokens.h"

namespace facet {

// What a model takes besides tokens, and how much of it a group does.
struct MediaLimits {
  int hidden_size = 0;
  // The placeholder of each kind; none: the model does not take it.
  std::optional<int32_t> image_token_id;
  std::optional<int32_t> video_token_id;
  std::optional<int32_t> audio_token_id;
  // Pictures and frames are seen both ways (FormsBlocks): one step computes a block.
  bool has_blocks = false;
  int max_block_tokens = 0;  // then
  // Of the rows of all requests that wait or run; one request may have all of it.
  int64_t max_bytes = int64_t{1} << 30;

  const std::optional<int32_t>& Placeholder(MediaKind kind) const;
};

// One picture, frame or clip.
struct RequestMedia {
  static constexpr size_t kContentHashBytes = 32;

  SoftTokens soft_tokens;
  // Of the content and of all that its soft tokens depend on: cached KV is shared between requests
  // whose media have equal hashes.
  std::string content_hash;
};

// InvalidArgument that names field, value and limit, unless the media are in order, lie on
// placeholders of their kind that the model takes, and have rows of the right size whose values are
// finite, together within max_bytes; and no block is longer than max_block_tokens.
absl::Status ValidateMedia(absl::Span<const RequestMedia> media, absl::Span<const int32_t> prompt,
                           const MediaLimits& limits);

// Bytes of the rows.
int64_t MediaBytes(absl::Span<const RequestMedia> media);

// Of valid media. What the prefix cache tells prompts apart by: a whole block is one span.
std::vector<MediaSpan> HashedSpans(absl::Span<const RequestMedia> media, bool has_blocks);

// Of valid media. Null if there are none.
std::shared_ptr<const PromptMedia> MakePromptMedia(absl::Span<const RequestMedia> media,
                                                   bool has_blocks);

}  // namespace facet

#endif  // FACET_SHARD_GROUP_REQUEST_MEDIA_H_
