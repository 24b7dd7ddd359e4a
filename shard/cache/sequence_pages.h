#ifndef FACET_SHARD_CACHE_SEQUENCE_PAGES_H_
#define FACET_SHARD_CACHE_SEQUENCE_PAGES_H_

// The page tables of one sequence over the two pools.
//
// Both tables list the page of each block of page_tokens positions from 0 on. The global one keeps
// every page. In the sliding one, pages wholly behind the window of the next position to compute
// are given back and their entries become -1: a step that starts at position s reads keys from
// s - (sliding_window - 1) on, however many tokens it computes.
//
//   pages.Reserve(s + n);            // before a step that computes positions [s, s + n)
//   plan <- pages.global(), pages.sliding()
//   pages.ReleaseBehindWindow(s + n);  // after it
//
// Owns the pages it took: the destructor gives them back. Thread-compatible.

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "shard/cache/kv_block_pool.h"
#include "shard/cache/page_demand.h"

namespace facet {

// The two pools of a group; nullptr where the layout has none of the kind. They outlive the tables.
struct KvPools {
  KvBlockPool* global = nullptr;
  KvBlockPool* sliding = nullptr;
};

class SequencePages {
 public:
  SequencePages(const KvLayout& layout, const KvPools& pools);
  ~SequencePages();
  SequencePages(const SequencePages&) = delete;
  SequencePages& operator=(const SequencePages&) = delete;

  // The largest `end` for which Reserve(end) would succeed now.
  int ReservableEnd() const;

  // Makes both tables cover positions [0, end), behind-window pages aside. Keeps what is there.
  // ResourceExhausted, with nothing taken, if a pool lacks pages.
  absl::Status Reserve(int end);

  // Gives back the sliding pages that no step from `next_position` on will read.
  void ReleaseBehindWindow(int next_position);

  // Gives everything back; the tables are as new.
  void ReleaseAll();

  // Page of each block; -1: given back. Empty if there is no such pool.
  absl::Span<const int32_t> global() const { return global_; }
  absl::Span<const int32_t> sliding() const { return sliding_; }

  // Pages held now.
  PageDemand held() const;

 private:
  const KvLayout layout_;
  const KvPools pools_;
  int blocks_ = 0;         // covered by the tables
  int sliding_start_ = 0;  // first block whose sliding page is held
  std::vector<int32_t> global_;
  std::vector<int32_t> sliding_;
};

}  // namespace facet

#endif  // FACET_SHARD_CACHE_SEQUENCE_PAGES_H_
