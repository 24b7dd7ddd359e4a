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

KvBlockPool::KvBlockPool(int num_pages) : free_(num_pages), lent_(num_pages, false) {
  std::iota(free_.rbegin(), free_.rend(), 0);  // the top of the stack is page 0
}

absl::Status KvBlockPool::Allocate(int count, std::vector<int32_t>* pages) {
  FACET_CHECK(count >= 0) << count;
  if (count > free_pages()) {
    return absl::ResourceExhaustedError(
        absl::StrCat(count, " KV pages wanted, ", free_pages(), " of ", num_pages(), " are free"));
  }
  for (int i = 0; i < count; ++i) {
    const int32_t page = free_.back();
    free_.pop_back();
    lent_[page] = true;
    pages->push_back(page);
  }
  return absl::OkStatus();
}

void KvBlockPool::Release(absl::Span<const int32_t> pages) {
  for (const int32_t page : pages) {
    FACET_CHECK(page >= 0 && page < num_pages()) << "KV page " << page << " of " << num_pages();
    FACET_CHECK(lent_[page]) << "KV page " << page << " is not lent";
    lent_[page] = false;
    free_.push_back(page);
  }
}

}  // namespace facet
