#ifndef FACET_SHARD_CACHE_KV_BLOCK_POOL_H_
#define FACET_SHARD_CACHE_KV_BLOCK_POOL_H_

// Free list of KV-cache pages for one shard group. Hands out ids; owns no tensor memory.
//
// One page stores `page_tokens` consecutive positions of one sequence, in every layer of this
// pool's kind (sliding or global) that owns KV. Only ids travel in a step plan; each rank maps an
// id to its own memory (kernels/kv_pages.h).
//
// Ownership: the pool lends ids; whoever allocated them releases them (SequencePages does, in its
//   destructor). The pool must outlive every borrower.
// Thread-safety: thread-compatible. The scheduler's thread owns it.

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace facet {

class KvBlockPool {
 public:
  // InvalidArgument if num_pages < 1.
  static absl::StatusOr<std::unique_ptr<KvBlockPool>> Create(int num_pages);

  // Takes `count` >= 0 ids in [0, num_pages) and appends them to `pages`, all or none.
  // ResourceExhausted if too few are free: expected under load; the caller preempts or queues.
  absl::Status Allocate(int count, std::vector<int32_t>* pages);

  // Returns ids for reuse. Releasing what is not lent is a bug in this process, so it CHECK-fails.
  void Release(absl::Span<const int32_t> pages);

  int num_pages() const { return static_cast<int>(lent_.size()); }
  int free_pages() const { return static_cast<int>(free_.size()); }
  int used_pages() const { return num_pages() - free_pages(); }

 private:
  explicit KvBlockPool(int num_pages);

  std::vector<int32_t> free_;  // a stack: the page released last, likely still cached, goes first
  std::vector<bool> lent_;     // by id
};

}  // namespace facet

#endif  // FACET_SHARD_CACHE_KV_BLOCK_POOL_H_
