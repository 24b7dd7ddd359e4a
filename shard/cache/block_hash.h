#ifndef FACET_SHARD_CACHE_BLOCK_HASH_H_
#define FACET_SHARD_CACHE_BLOCK_HASH_H_

// The names under which the prefix cache finds KV pages again.
//
// The KV of a block of page_tokens positions depends on every token up to its end, so its hash
// does: SHA-256 over the hash of the block before, the block's tokens, and the media whose soft
// tokens lie in it. The chain starts from a tenant's salt. Equal hashes mean equal contents: no
// tenant, and no picture under equal placeholder tokens, meets another's pages. A shorter hash
// would not do, since whoever makes two prompts collide reads another's conversation.

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace facet {

struct BlockHash {
  std::array<uint8_t, 32> bytes = {};

  friend bool operator==(const BlockHash& a, const BlockHash& b) { return a.bytes == b.bytes; }
  template <typename H>
  friend H AbslHashValue(H state, const BlockHash& hash) {
    return H::combine(std::move(state), hash.bytes);
  }
};

// The soft tokens of one picture, frame or clip in a prompt. Where soft tokens see each other in
// both directions, one span is a whole run of them, since each then depends on all of the run.
struct MediaSpan {
  int start = 0;             // position of the first, from the start of the prompt
  int tokens = 0;            // >= 1
  std::string content_hash;  // of the media and all that its encoder's output depends on
};

// The hashes of one sequence's full blocks, from position 0 on. A plain value: the thread that
// takes a request in hashes its prompt, and the scheduler's, which owns it then, goes on with what
// is generated. The n completions of a prompt go on from copies. Thread-compatible.
class BlockHashChain {
 public:
  // An empty chain: of blocks of page_tokens >= 1 positions, for the tenant with this salt (any
  // bytes; pages are shared only under equal salts) and a prompt with `media`, ordered by position
  // and not overlapping.
  BlockHashChain(int page_tokens, absl::string_view salt, std::vector<MediaSpan> media = {});

  // Hashes the full blocks of `tokens` that have no hash yet. `tokens` are all of the sequence's,
  // from position 0 on, and start with those of the calls before.
  void Extend(absl::Span<const int32_t> tokens);

  // One for each full block.
  const std::vector<BlockHash>& hashes() const { return hashes_; }

 private:
  void AppendMedia(int block, std::string* input);

  int page_tokens_;
  BlockHash root_;
  std::vector<MediaSpan> media_;
  size_t next_media_ = 0;  // the first that does not end before the next block to hash
  std::vector<BlockHash> hashes_;
};

}  // namespace facet

#endif  // FACET_SHARD_CACHE_BLOCK_HASH_H_
