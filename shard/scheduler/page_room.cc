#include "shard/scheduler/page_room.h"

#include <algorithm>

namespace facet {
namespace {

int Available(const KvBlockPool* pool) { return pool == nullptr ? 0 : pool->available_pages(); }

}  // namespace

PageRoom::PageRoom(const SchedulerOptions& options, const KvPools& pools)
    : layout_(options.layout()), max_chunk_(options.max_step_tokens), pools_(pools) {}

void PageRoom::Count(absl::Span<Sequence* const> running) {
  claimed_ = {};
  for (const Sequence* sequence : running) {
    if (!sequence->stalled()) Add(*sequence);
  }
}

void PageRoom::Add(const Sequence& sequence) {
  const PageDemand demand = DemandOf(sequence, sequence.computed);
  const PageDemand held = sequence.pages.held();
  const int spare = sequence.family();
  claimed_.global += std::max(0, demand.global - held.global) + (layout_.has_global ? spare : 0);
  claimed_.sliding +=
      std::max(0, demand.sliding - held.sliding) + (layout_.has_sliding ? spare : 0);
}

bool PageRoom::HasRoomFor(const Sequence& newcomer, const PrefixHit& hit,
                          const PageDemand& beside) const {
  return Fits(DemandBeyondPrefix(DemandOf(newcomer, hit.tokens), hit), beside);
}

bool PageRoom::HasRoomForFork() const {
  return Fits({layout_.has_global ? 1 : 0, layout_.has_sliding ? 1 : 0}, {});
}

bool PageRoom::Fits(const PageDemand& claim, const PageDemand& beside) const {
  const PageDemand available = {Available(pools_.global) + beside.global,
                                Available(pools_.sliding) + beside.sliding};
  return PageDemand{claimed_.global + claim.global, claimed_.sliding + claim.sliding}.FitsIn(
      available);
}

PageDemand PageRoom::DemandOf(const Sequence& sequence, int computed) const {
  const int tokens = static_cast<int>(sequence.tokens.size());
  return WorstCaseDemand(layout_, tokens, std::clamp(tokens - computed, 1, max_chunk_));
}

}  // namespace facet
