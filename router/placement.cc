#include "router/placement.h"

#include <vector>

namespace facet {

std::optional<size_t> Placement::Pick(absl::Span<const Candidate> candidates) {
  std::vector<size_t> best;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!candidates[i].eligible) continue;
    if (!best.empty() && candidates[i].load > candidates[best.front()].load) continue;
    if (!best.empty() && candidates[i].load < candidates[best.front()].load) best.clear();
    best.push_back(i);
  }
  if (best.empty()) return std::nullopt;
  return best[turn_.fetch_add(1, std::memory_order_relaxed) % best.size()];
}

}  // namespace facet
