#ifndef FACET_SHARD_SOFT_TOKENS_H_
#define FACET_SHARD_SOFT_TOKENS_H_

// Soft tokens of a prompt: what a vision or audio tower made of a picture, a frame or a clip, and
// what a model takes instead of the embeddings of the placeholders at these positions. Plain data.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/dtype.h"

namespace facet {

enum class MediaKind : uint8_t { kImage, kVideo, kAudio };

inline const char* Name(MediaKind kind) {
  switch (kind) {
    case MediaKind::kImage:
      return "image";
    case MediaKind::kVideo:
      return "video";
    case MediaKind::kAudio:
      return "audio";
  }
  return "?";
}

// A run of consecutive positions; each has its row. Copies share the rows.
struct SoftTokens {
  int32_t position = 0;  // of the first, from the start of the prompt
  int32_t count = 0;     // >= 1
  MediaKind kind = MediaKind::kImage;
  DType dtype = DType::kF32;  // kF32 or kBF16
  // [count, hidden size of the text model] of dtype, little-endian, without gaps.
  absl::string_view rows;
  std::shared_ptr<const std::string> owner;  // of the memory of `rows`

  int32_t end() const { return position + count; }

  // The part of it in positions [first, last); count <= 0: none.
  SoftTokens Between(int32_t first, int32_t last) const {
    SoftTokens part = *this;
    part.position = std::max(position, first);
    part.count = std::min(end(), last) - part.position;
    if (part.count <= 0) {
      part.rows = {};
      return part;
    }
    const size_t row_bytes = rows.size() / static_cast<size_t>(count);
    part.rows = rows.substr(static_cast<size_t>(part.position - position) * row_bytes,
                            static_cast<size_t>(part.count) * row_bytes);
    return part;
  }
};

// Soft tokens that own a copy of `rows`.
inline SoftTokens OwnSoftTokens(int32_t position, int32_t count, MediaKind kind, DType dtype,
                                std::string rows) {
  SoftTokens out;
  out.position = position;
  out.count = count;
  out.kind = kind;
  out.dtype = dtype;
  out.owner = std::make_shared<const std::string>(std::move(rows));
  out.rows = *out.owner;
  return out;
}

// Whether the soft tokens of adjoining runs see each other both ways, in the sliding layers of
// models whose config says so (ModelConfig::bidirectional_vision): pictures and frames do, clips do
// not. A "block" is a longest run of such positions.
inline bool FormsBlocks(MediaKind kind) { return kind != MediaKind::kAudio; }

}  // namespace facet

#endif  // FACET_SHARD_SOFT_TOKENS_H_
