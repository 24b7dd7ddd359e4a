#ifndef FACET_SHARD_SCHEDULER_SEQUENCE_H_
#define FACET_SHARD_SCHEDULER_SEQUENCE_H_

// The scheduler's record of one live sequence.

#include <cstdint>
#include <tuple>
#include <vector>

#include "absl/time/time.h"
#include "shard/cache/sequence_pages.h"

namespace facet {

struct Sequence {
  Sequence(const KvLayout& layout, const KvPools& pools) : pages(layout, pools) {}

  int64_t id = 0;
  int64_t arrival = 0;    // counts requests, so it is unique where `id` may be used again
  absl::Time serve_from;  // arrival time less what its priority is worth
  absl::Time deadline;
  std::vector<int32_t> tokens;  // prompt, then generated
  int max_tokens = 0;           // of `tokens`
  int computed = 0;             // tokens whose KV is in the pages; less than tokens.size()
  bool running = false;         // in a step's reach, and may hold pages
  SequencePages pages;

  // Tokens known but not computed. 1: a step on its newest token yields the next.
  int remaining() const { return static_cast<int>(tokens.size()) - computed; }
  bool decoding() const { return remaining() == 1; }
};

// The order in which sequences are served (scheduler.h). Total and fixed for life.
struct ServedBefore {
  bool operator()(const Sequence* a, const Sequence* b) const {
    return std::tie(a->serve_from, a->arrival) < std::tie(b->serve_from, b->arrival);
  }
};

}  // namespace facet

#endif  // FACET_SHARD_SCHEDULER_SEQUENCE_H_
