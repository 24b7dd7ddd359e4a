#ifndef FACET_SHARD_CACHE_PAGE_DEMAND_H_
#define FACET_SHARD_CACHE_PAGE_DEMAND_H_

// How many KV pages a sequence needs: for admission, and for whoever sizes the pools.

#include <cstdint>

namespace facet {

// What decides the page count of a sequence. A model whose layers of one kind own no KV (there are
// none, or all share another layer's) has no pool of that kind.
struct KvLayout {
  int page_tokens = 0;  // positions per page, in both pools; >= 1
  bool has_global = true;
  bool has_sliding = true;
  int sliding_window = 0;  // keys that a sliding layer sees, the token itself included; >= 1
};

struct PageDemand {
  int global = 0;
  int sliding = 0;

  int64_t Bytes(int64_t global_page_bytes, int64_t sliding_page_bytes) const {
    return global * global_page_bytes + sliding * sliding_page_bytes;
  }
  bool FitsIn(const PageDemand& available) const {
    return global <= available.global && sliding <= available.sliding;
  }
};

// What the prefix cache has for a sequence (SequencePages::PeekPrefix).
struct PrefixHit {
  int tokens = 0;     // from position 0 on, that need not be computed
  PageDemand pages;   // that the sequence would list for them
  PageDemand cached;  // of these, in no sequence's use now: taking them makes them unavailable
};

// ceil(positions / page_tokens): pages of positions [0, positions).
int PagesFor(int positions, int page_tokens);

// The most pages that a sequence of `positions` computed positions ever holds at once, if it is
// computed `chunk_tokens` (>= 1) or fewer at a time: all of them in the global pool; in the sliding
// pool the sliding_window - 1 keys before a chunk and the chunk itself, wherever page edges fall.
// A sequence of prompt P that generates N tokens computes P + N - 1: its last token is not fed
// back.
PageDemand WorstCaseDemand(const KvLayout& layout, int positions, int chunk_tokens);

// Of the pages available now (KvBlockPool::available_pages), those that a new sequence takes away
// if it holds `demand` pages at its most, `hit` among them: what no other sequence uses yet.
PageDemand DemandBeyondPrefix(const PageDemand& demand, const PrefixHit& hit);

}  // namespace facet

#endif  // FACET_SHARD_CACHE_PAGE_DEMAND_H_
