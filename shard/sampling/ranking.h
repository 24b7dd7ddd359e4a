#ifndef FACET_SHARD_SAMPLING_RANKING_H_
#define FACET_SHARD_SAMPLING_RANKING_H_

// Selection of the best tokens of a row without sorting it.
//
// Tokens rank by logit, the higher first, and by id, the lower first, where logits are equal. So
// the ranking is total, and every filter of the sampler keeps a prefix of it.

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace facet {

struct RankedToken {
  float logit = 0;
  int32_t id = 0;

  friend bool operator<(const RankedToken& a, const RankedToken& b) {  // a ranks before b
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  }
};

// Keeps its scratch memory between calls. Thread-compatible.
class BestSelector {
 public:
  // The `count` >= 1 best tokens of `row`, in ascending order of ids; fewer if fewer are above
  // -infinity. Valid until the next call.
  // Time: one pass over the row, and O(1) amortised for each token that enters the selection.
  absl::Span<const RankedToken> Select(absl::Span<const float> row, size_t count);

 private:
  std::vector<RankedToken> best_;
  std::vector<RankedToken> scratch_;
};

// A token of a nucleus search with its weight, the probability up to a factor.
struct WeightedToken {
  RankedToken token;
  float weight = 0;
};

// The last token of the shortest prefix of the ranking whose weights reach `mass`, or the last of
// all if they do not. Reorders `tokens`, of which there is at least one.
// Time: O(n) expected, O(n log n) at worst.
RankedToken LastOfMass(absl::Span<WeightedToken> tokens, double mass);

}  // namespace facet

#endif  // FACET_SHARD_SAMPLING_RANKING_H_
