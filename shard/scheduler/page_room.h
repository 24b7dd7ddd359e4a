#ifndef FACET_SHARD_SCHEDULER_PAGE_ROOM_H_
#define FACET_SHARD_SCHEDULER_PAGE_ROOM_H_

// Whether a newcomer has room among the running sequences: available pages for all of its known
// tokens, beside what the running prompts will still take, and a page more for each running
// sequence, so that the newcomer is not the next to be preempted.
//
// Thread-safety: thread-compatible.

#include "absl/types/span.h"
#include "shard/cache/page_demand.h"
#include "shard/cache/sequence_pages.h"
#include "shard/scheduler/scheduler_options.h"
#include "shard/scheduler/sequence.h"

namespace facet {

class PageRoom {
 public:
  PageRoom(const SchedulerOptions& options, const KvPools& pools);

  // What the running sequences may still take beyond what they hold. Paused ones take nothing.
  void Count(absl::Span<Sequence* const> running);

  // Counts one that has just started.
  void Add(const Sequence& sequence);

  // Whether the available pages, and `beside` more, suffice for the newcomer, who takes `hit` from
  // the prefix cache, and for what is counted.
  bool HasRoomFor(const Sequence& newcomer, const PrefixHit& hit, const PageDemand& beside) const;

  // The same for one that goes on with the pages of a running one.
  bool HasRoomForFork() const;

 private:
  PageDemand DemandOf(const Sequence& sequence, int computed) const;
  bool Fits(const PageDemand& claim, const PageDemand& beside) const;

  const KvLayout layout_;
  const int max_chunk_;
  const KvPools pools_;
  PageDemand claimed_;
};

}  // namespace facet

#endif  // FACET_SHARD_SCHEDULER_PAGE_ROOM_H_
