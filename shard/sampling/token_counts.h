#ifndef FACET_SHARD_SAMPLING_TOKEN_COUNTS_H_
#define FACET_SHARD_SAMPLING_TOKEN_COUNTS_H_

// The tokens that a sequence has seen, counted for the penalties.
// Thread-compatible.

#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"

namespace facet {

class TokenCounts {
 public:
  struct Entry {
    int32_t token = 0;
    int32_t generated = 0;  // times generated; 0 if it stands in the prompt only
  };

  TokenCounts() = default;
  explicit TokenCounts(absl::Span<const int32_t> prompt);

  void AddGenerated(int32_t token);

  // Each token of the prompt or generated, once, in the order of first appearance.
  absl::Span<const Entry> entries() const { return entries_; }

 private:
  Entry& Find(int32_t token);

  std::vector<Entry> entries_;
  absl::flat_hash_map<int32_t, size_t> index_;  // token -> place in entries_
};

}  // namespace facet

#endif  // FACET_SHARD_SAMPLING_TOKEN_COUNTS_H_
