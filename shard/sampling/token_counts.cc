#include "shard/sampling/token_counts.h"

namespace facet {

TokenCounts::TokenCounts(absl::Span<const int32_t> prompt) {
  for (int32_t token : prompt) Find(token);
}

void TokenCounts::AddGenerated(int32_t token) { ++Find(token).generated; }

TokenCounts::Entry& TokenCounts::Find(int32_t token) {
  const auto [place, is_new] = index_.try_emplace(token, entries_.size());
  if (is_new) entries_.push_back({token, 0});
  return entries_[place->second];
}

}  // namespace facet
