#include "shard/scheduler/page_room.h"

#include <algorithm>

namespace facet {
namespace {

int FreePages(const KvBlockPool* pool) { return pool == nullptr ? 0 : pool->free_pages(); }

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
  const PageDemand claim = ClaimOf(sequence);
  const int spare = sequence.family();
  claimed_.global += claim.global + (layout_.has_global ? spare : 0);
  claimed_.sliding += claim.sliding + (layout_.has_sliding ? spare : 0);
}

bool PageRoom::HasRoomFor(const Sequence& newcomer, const PageDemand& beside) const {
  const PageDemand claim = ClaimOf(newcomer);
  const PageDemand available = {FreePages(pools_.global) + beside.global,
                                FreePages(pools_.sliding) + beside.sliding};
  return PageDemand{claimed_.global + claim.global, claimed_.sliding + claim.sliding}.FitsIn(
      available);
}

PageDemand PageRoom::ClaimOf(const Sequence& sequence) const {
  const PageDemand demand = WorstCaseDemand(layout_, static_cast<int>(sequence.tokens.size()),
                                            std::clamp(sequence.remaining(), 1, max_chunk_));
  const PageDemand held = sequence.pages.held();
  return {std::max(0, demand.global - held.global), std::max(0, demand.sliding - held.sliding)};
}

}  // namespace facet
