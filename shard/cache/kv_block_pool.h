#ifndef FACET_SHARD_CACHE_KV_BLOCK_POOL_H_
#define FACET_SHARD_CACHE_KV_BLOCK_POOL_H_

// The KV-cache pages of one kind of one shard group. Hands out ids; owns no tensor memory.
//
// One page stores `page_tokens` consecutive positions, in every layer of this pool's kind (sliding
// or global) that owns KV. Only ids travel in a step plan; each rank maps an id to its own memory
// (kernels/kv_pages.h).
//
// A page is in one of three states:
//   in use  it has references: tables of sequences (SequencePages) that list it
//   cached  nobody references it, but its contents are known by a hash and may be taken up again
//   free    neither
// Cached pages are as good as free ones to Allocate, which evicts them once no free one is left:
// the least recently used first, where a page's last use is its last release. So every page can
// always be allocated that is not in use.
//
// Ownership: the pool lends ids; whoever holds a reference releases it (SequencePages does, in its
//   destructor). The pool must outlive every borrower.
// Thread-safety: thread-compatible. The scheduler's thread owns it.

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "shard/cache/block_hash.h"

namespace facet {

class KvBlockPool {
 public:
  static constexpr int32_t kNone = -1;

  // InvalidArgument if num_pages < 1.
  static absl::StatusOr<std::unique_ptr<KvBlockPool>> Create(int num_pages);

  // Takes `count` >= 0 ids in [0, num_pages), each with one reference, and appends them to `pages`,
  // all or none; evicts cached pages if need be. ResourceExhausted if fewer than `count` are
  // available: expected under load; the caller preempts or queues.
  absl::Status Allocate(int count, std::vector<int32_t>* pages);

  // One reference more to a page that is in use or cached.
  void AddRef(int32_t page);

  // One reference less for each. `pages` of one sequence come in the order of their positions; the
  // last is released, and so evicted, first: the tail of a chain is of no use without its head.
  // Releasing what is not in use is a bug in this process, so it CHECK-fails.
  void Release(absl::Span<const int32_t> pages);

  // Makes a page in use findable by the hash of its contents, which are complete and will not
  // change. If another page in use has the hash already, that one stays findable and this one
  // nameless; if one that is only cached has it, this page takes its place and that one becomes
  // free. A page that has another hash already is a bug, so it CHECK-fails.
  void Publish(int32_t page, const BlockHash& hash);

  // The page with these contents, or kNone. Takes no reference and is no use of the page.
  int32_t Find(const BlockHash& hash) const;

  // A copy's source. The caller's reference stays, but no longer counts in is_shared: the page
  // keeps its contents until ReleaseHeld, while the others who list it may add to it.
  void Hold(int32_t page);
  void ReleaseHeld(int32_t page);

  // Whether more than one table lists the page.
  bool is_shared(int32_t page) const { return pages_[page].refs - pages_[page].held > 1; }
  bool is_findable(int32_t page) const { return pages_[page].has_hash; }
  // References, held ones included. 0: cached or free.
  int refs(int32_t page) const { return pages_[page].refs; }
  bool is_cached(int32_t page) const { return refs(page) == 0 && is_findable(page); }

  int num_pages() const { return static_cast<int>(pages_.size()) - 1; }
  int free_pages() const { return static_cast<int>(free_.size()); }
  int cached_pages() const { return cached_; }
  int used_pages() const { return num_pages() - available_pages(); }
  // What Allocate can give now.
  int available_pages() const { return free_pages() + cached_pages(); }
  // Cached pages that were given to others, since the start.
  int64_t evictions() const { return evictions_; }

 private:
  struct Page {
    int32_t refs = 0;
    int32_t held = 0;  // of refs
    bool has_hash = false;
    BlockHash hash;
    // Neighbours in the list of cached pages.
    int32_t previous = kNone;
    int32_t next = kNone;
  };

  explicit KvBlockPool(int num_pages);

  void ReleaseOne(int32_t page);
  void Forget(int32_t page);
  void Link(int32_t page);
  void Unlink(int32_t page);
  int32_t list_end() const { return num_pages(); }

  // By id. One entry more closes the ring of cached pages: behind it is the least recently used,
  // before it the most recently used.
  std::vector<Page> pages_;
  std::vector<int32_t> free_;  // a stack: the page released last, likely still cached, goes first
  absl::flat_hash_map<BlockHash, int32_t> by_hash_;
  int cached_ = 0;
  int64_t evictions_ = 0;
};

// The two pools of a group; nullptr where the layout has none of the kind.
struct KvPools {
  KvBlockPool* global = nullptr;
  KvBlockPool* sliding = nullptr;
};

}  // namespace facet

#endif  // FACET_SHARD_CACHE_KV_BLOCK_POOL_H_
