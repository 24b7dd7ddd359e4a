#ifndef FACET_ROUTER_PLACEMENT_H_
#define FACET_ROUTER_PLACEMENT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"

namespace facet {

// Which shard group takes the next request.
//
// Of the eligible groups the one with the least load. Equally loaded ones take turns, so idle
// groups share evenly; the turn begins anywhere, so that fresh routers do not all choose the same
// group.
//
// Thread-safe.
class Placement {
 public:
  struct Candidate {
    bool eligible = false;  // ready, and not tried for this request before
    int64_t load = 0;       // tokens of its running and waiting requests, as this router knows
  };

  // `first_turn`: any number.
  explicit Placement(uint64_t first_turn = 0) : turn_(first_turn) {}

  // The index of a candidate; nullopt if none is eligible.
  std::optional<size_t> Pick(absl::Span<const Candidate> candidates);

 private:
  std::atomic<uint64_t> turn_;
};

}  // namespace facet

#endif  // FACET_ROUTER_PLACEMENT_H_
