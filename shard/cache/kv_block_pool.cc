#include "shard/cache/kv_block_pool.h"

#include <numeric>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace facet {

absl::StatusOr<std::unique_ptr<KvBlockPool>> KvBlockPool::Create(int num_pages) {
  if (num_pages < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("num_pages of a KV pool is ", num_pages, ", must be at least 1"));
  }
  return absl::WrapUnique(new KvBlockPool(num_pages));
}

KvBlockPool::KvBlockPool(int num_pages) : pages_(num_pages + 1), free_(num_pages) {
  std::iota(free_.rbegin(), free_.rend(), 0);  // the top of the stack is page 0
  pages_[list_end()].previous = pages_[list_end()].next = list_end();
}

absl::Status KvBlockPool::Allocate(int count, std::vector<int32_t>* pages) {
  FACET_CHECK(count >= 0) << count;
  if (count > available_pages()) {
    return absl::ResourceExhaustedError(absl::StrCat(count, " KV pages wanted, ", available_pages(),
                                                     " of ", num_pages(), " are available"));
  }
  for (int i = 0; i < count; ++i) {
    if (free_.empty()) {
      const int32_t oldest = pages_[list_end()].next;
      Unlink(oldest);
      Forget(oldest);
      free_.push_back(oldest);
      ++evictions_;
    }
    const int32_t page = free_.back();
    free_.pop_back();
    pages_[page].refs = 1;
    pages->push_back(page);
  }
  return absl::OkStatus();
}

void KvBlockPool::AddRef(int32_t page) {
  if (is_cached(page)) {
    Unlink(page);
  } else {
    FACET_CHECK(refs(page) > 0) << "KV page " << page << " is free";
  }
  ++pages_[page].refs;
}

void KvBlockPool::Release(absl::Span<const int32_t> pages) {
  for (auto page = pages.rbegin(); page != pages.rend(); ++page) ReleaseOne(*page);
}

void KvBlockPool::ReleaseOne(int32_t page) {
  FACET_CHECK(page >= 0 && page < num_pages()) << "KV page " << page << " of " << num_pages();
  FACET_CHECK(pages_[page].refs > pages_[page].held) << "KV page " << page << " is not in use";
  if (--pages_[page].refs > 0) return;
  if (is_findable(page)) {
    Link(page);
  } else {
    free_.push_back(page);
  }
}

void KvBlockPool::Hold(int32_t page) {
  FACET_CHECK(pages_[page].refs > pages_[page].held) << "KV page " << page << " is not in use";
  ++pages_[page].held;
}

void KvBlockPool::ReleaseHeld(int32_t page) {
  FACET_CHECK(pages_[page].held > 0) << "KV page " << page << " is not held";
  --pages_[page].held;
  ReleaseOne(page);
}

void KvBlockPool::Publish(int32_t page, const BlockHash& hash) {
  FACET_CHECK(refs(page) > 0) << "KV page " << page << " is not in use";
  if (is_findable(page)) {
    FACET_CHECK(pages_[page].hash == hash) << "KV page " << page << " has another hash";
    return;
  }
  const auto [entry, is_new] = by_hash_.try_emplace(hash, page);
  if (!is_new) {
    const int32_t other = entry->second;
    if (refs(other) > 0) return;
    Unlink(other);
    pages_[other].has_hash = false;
    free_.push_back(other);
    entry->second = page;
  }
  pages_[page].hash = hash;
  pages_[page].has_hash = true;
}

int32_t KvBlockPool::Find(const BlockHash& hash) const {
  const auto found = by_hash_.find(hash);
  return found == by_hash_.end() ? kNone : found->second;
}

void KvBlockPool::Forget(int32_t page) {
  by_hash_.erase(pages_[page].hash);
  pages_[page].has_hash = false;
}

void KvBlockPool::Link(int32_t page) {
  const int32_t newest = pages_[list_end()].previous;
  pages_[page].previous = newest;
  pages_[page].next = list_end();
  pages_[newest].next = page;
  pages_[list_end()].previous = page;
  ++cached_;
}

void KvBlockPool::Unlink(int32_t page) {
  const auto [previous, next] = std::pair(pages_[page].previous, pages_[page].next);
  pages_[previous].next = next;
  pages_[next].previous = previous;
  --cached_;
}

}  // namespace facet
