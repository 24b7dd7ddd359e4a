#ifndef FACET_SHARD_CACHE_SEQUENCE_PAGES_H_
#define FACET_SHARD_CACHE_SEQUENCE_PAGES_H_

// The page tables of one sequence over the two pools.
//
// Both tables list the page of each block of page_tokens positions from 0 on. The global one keeps
// every page. In the sliding one, pages wholly behind the window of the next position to compute
// are given back and their entries become -1: a step that starts at position s reads keys from
// s - (sliding_window - 1) on, however many tokens it computes.
//
//   s = pages.AdoptPrefix({hashes, prompt - 1});   // once, before the first step
//   pages.Reserve(s + n, s, &copies);              // before a step that computes [s, s + n)
//   plan <- copies, pages.global(), pages.sliding()
//   pages.Publish(hashes, s + n);                  // after it
//   pages.ReleaseBehindWindow(s + n);              // which leaves published pages cached
//
// Sharing. A page may be listed by many tables: a prefix that was found in the cache, or the prompt
//   of sequences that were forked. Full blocks that are published are never written again, so only
//   the block of the next position may need a page of its own; Reserve then takes one and lists a
//   copy. The copy's source stays referenced by this object until its ReleaseBehindWindow, which
//   therefore follows every step, or its ReleaseAll or end. After these no page may be allocated
//   before the step with the copy has been executed (or dropped from the plan): a sequence may be
//   cancelled during a step, but one whose copies are planned already must not be preempted.
//
// Owns a reference to each page it lists: the destructor gives them back. Thread-compatible.

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "shard/cache/block_hash.h"
#include "shard/cache/kv_block_pool.h"
#include "shard/cache/page_demand.h"
#include "shard/cache/prefix_match.h"
#include "shard/step_plan.h"

namespace facet {

// Copies that a step starts with; Reserve appends to both.
struct PageCopies {
  std::vector<PageCopy> global;
  std::vector<PageCopy> sliding;
};

class SequencePages {
 public:
  // The pools outlive this object.
  SequencePages(const KvLayout& layout, const KvPools& pools);
  ~SequencePages();
  SequencePages(const SequencePages&) = delete;
  SequencePages& operator=(const SequencePages&) = delete;

  // What AdoptPrefix would take now. Changes nothing, so pages may be evicted meanwhile.
  PrefixHit PeekPrefix(const CachedPrompt& prompt) const;

  // Lists the longest prefix that is cached and returns its tokens, a multiple of page_tokens: what
  // the sequence need not compute. The tables must be empty. Evicts nothing and cannot fail.
  int AdoptPrefix(const CachedPrompt& prompt);

  // Lists the pages of another sequence of the same pools, of which `computed` positions are
  // computed, for these positions: this one goes on from there. The tables must be empty.
  void ForkFrom(const SequencePages& parent, int computed);

  // The largest `end` for which Reserve(end, computed, copies) would succeed now; at most
  // `computed` if there is no page for even one position.
  int ReservableEnd(int computed) const;

  // Makes both tables cover positions [0, end), behind-window pages aside, and those from
  // `computed` on writable: may append to `copies`. Keeps what is there. ResourceExhausted, with
  // nothing taken, if a pool lacks pages.
  absl::Status Reserve(int end, int computed, PageCopies* copies);

  // The same for a sequence that shares nothing.
  int ReservableEnd() const;
  absl::Status Reserve(int end);

  // Makes the full blocks among the first `computed` positions findable, in both pools. `hashes`
  // are those of the sequence's tokens; what they do not reach is left for a later call.
  void Publish(absl::Span<const BlockHash> hashes, int computed);

  // Ends a step: gives back the sliding pages that no step from `next_position` on will read, and
  // the sources of the step's copies.
  void ReleaseBehindWindow(int next_position);

  // Gives everything back; the tables are as new.
  void ReleaseAll();

  // Page of each block; -1: given back. Empty if there is no such pool.
  absl::Span<const int32_t> global() const { return global_; }
  absl::Span<const int32_t> sliding() const { return sliding_; }

  // Pages listed now, shared ones included.
  PageDemand held() const;

 private:
  // Whether the page of block `block` of a table must be copied before a position of it is written.
  static bool NeedsCopy(const KvBlockPool* pool, absl::Span<const int32_t> table, int block);
  PageDemand CopiesFor(int computed) const;
  static void ReplaceWithCopy(KvBlockPool* pool, int32_t* page, std::vector<int32_t>* sources,
                              std::vector<PageCopy>* copies);
  void ReleaseCopySources();

  const KvLayout layout_;
  const KvPools pools_;
  int blocks_ = 0;         // covered by the tables
  int sliding_start_ = 0;  // first block whose sliding page is held
  int published_ = 0;      // blocks that Publish is done with
  std::vector<int32_t> global_;
  std::vector<int32_t> sliding_;
  // Held, not listed: sources of the copies of the step being planned or executed.
  std::vector<int32_t> global_sources_;
  std::vector<int32_t> sliding_sources_;
};

}  // namespace facet

#endif  // FACET_SHARD_CACHE_SEQUENCE_PAGES_H_
