#include "shard/cache/sequence_pages.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace facet {
namespace {

// Lists blocks [first, end) of a prompt whose pages are all there.
void Adopt(KvBlockPool* pool, absl::Span<const BlockHash> hashes, int first, int end,
           std::vector<int32_t>* table) {
  table->assign(first, -1);
  for (int block = first; block < end; ++block) {
    const int32_t page = pool->Find(hashes[block]);
    pool->AddRef(page);
    table->push_back(page);
  }
}

int CountCached(const KvBlockPool& pool, absl::Span<const BlockHash> hashes, int first, int end) {
  return std::count_if(hashes.begin() + first, hashes.begin() + end,
                       [&](const BlockHash& hash) { return pool.is_cached(pool.Find(hash)); });
}

void PublishBlocks(KvBlockPool* pool, absl::Span<const int32_t> table,
                   absl::Span<const BlockHash> hashes, int first, int end) {
  for (int block = first; block < end; ++block) {
    if (table[block] >= 0) pool->Publish(table[block], hashes[block]);
  }
}

absl::Status CheckAvailable(const KvBlockPool* pool, int count) {
  if (pool == nullptr || count <= pool->available_pages()) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(count, " KV pages wanted, ",
                                                   pool->available_pages(), " of ",
                                                   pool->num_pages(), " are available"));
}

void AllocateAvailable(KvBlockPool* pool, int count, std::vector<int32_t>* pages) {
  const absl::Status allocated = pool->Allocate(count, pages);
  FACET_CHECK(allocated.ok()) << allocated;
}

}  // namespace

SequencePages::SequencePages(const KvLayout& layout, const KvPools& pools)
    : layout_(layout), pools_(pools) {
  FACET_CHECK(layout.page_tokens >= 1) << layout.page_tokens;
  FACET_CHECK(layout.has_global == (pools.global != nullptr));
  FACET_CHECK(layout.has_sliding == (pools.sliding != nullptr));
  FACET_CHECK(!layout.has_sliding || layout.sliding_window >= 1) << layout.sliding_window;
}

SequencePages::~SequencePages() { ReleaseAll(); }

PrefixHit SequencePages::PeekPrefix(const CachedPrompt& prompt) const {
  const int blocks = LongestPrefix(layout_, pools_, prompt);
  PrefixHit hit;
  hit.tokens = blocks * layout_.page_tokens;
  if (pools_.global != nullptr) {
    hit.pages.global = blocks;
    hit.cached.global = CountCached(*pools_.global, prompt.hashes, 0, blocks);
  }
  if (pools_.sliding != nullptr) {
    const int first = FirstSlidingBlock(layout_, hit.tokens);
    hit.pages.sliding = blocks - first;
    hit.cached.sliding = CountCached(*pools_.sliding, prompt.hashes, first, blocks);
  }
  return hit;
}

int SequencePages::AdoptPrefix(const CachedPrompt& prompt) {
  FACET_CHECK(blocks_ == 0) << blocks_;
  blocks_ = published_ = LongestPrefix(layout_, pools_, prompt);
  const int tokens = blocks_ * layout_.page_tokens;
  if (pools_.global != nullptr) Adopt(pools_.global, prompt.hashes, 0, blocks_, &global_);
  if (pools_.sliding != nullptr) {
    sliding_start_ = FirstSlidingBlock(layout_, tokens);
    Adopt(pools_.sliding, prompt.hashes, sliding_start_, blocks_, &sliding_);
  }
  return tokens;
}

void SequencePages::ForkFrom(const SequencePages& parent, int computed) {
  FACET_CHECK(blocks_ == 0) << blocks_;
  FACET_CHECK(pools_.global == parent.pools_.global && pools_.sliding == parent.pools_.sliding);
  blocks_ = PagesFor(computed, layout_.page_tokens);
  FACET_CHECK(blocks_ <= parent.blocks_) << blocks_ << " > " << parent.blocks_;
  published_ = std::min(parent.published_, blocks_);
  sliding_start_ = std::min(parent.sliding_start_, blocks_);
  if (pools_.global != nullptr) {
    global_.assign(parent.global_.begin(), parent.global_.begin() + blocks_);
    for (int32_t page : global_) pools_.global->AddRef(page);
  }
  if (pools_.sliding != nullptr) {
    sliding_.assign(parent.sliding_.begin(), parent.sliding_.begin() + blocks_);
    for (int32_t page : sliding().subspan(sliding_start_)) pools_.sliding->AddRef(page);
  }
}

bool SequencePages::NeedsCopy(const KvBlockPool* pool, absl::Span<const int32_t> table, int block) {
  if (pool == nullptr || block >= static_cast<int>(table.size())) return false;
  return pool->is_shared(table[block]) || pool->is_findable(table[block]);
}

PageDemand SequencePages::CopiesFor(int computed) const {
  const int block = computed / layout_.page_tokens;
  FACET_CHECK(pools_.sliding == nullptr || block >= sliding_start_) << "position " << computed;
  return {NeedsCopy(pools_.global, global_, block), NeedsCopy(pools_.sliding, sliding_, block)};
}

int SequencePages::ReservableEnd(int computed) const {
  const PageDemand copies = CopiesFor(computed);
  int64_t more = std::numeric_limits<int32_t>::max();
  if (pools_.global != nullptr) {
    more = std::min<int64_t>(more, pools_.global->available_pages() - copies.global);
  }
  if (pools_.sliding != nullptr) {
    more = std::min<int64_t>(more, pools_.sliding->available_pages() - copies.sliding);
  }
  if (more < 0) return computed;
  const int64_t end = (blocks_ + more) * layout_.page_tokens;
  return static_cast<int>(std::min<int64_t>(end, std::numeric_limits<int32_t>::max()));
}

int SequencePages::ReservableEnd() const { return ReservableEnd(blocks_ * layout_.page_tokens); }

absl::Status SequencePages::Reserve(int end, int computed, PageCopies* copies) {
  const PageDemand copied = end > computed ? CopiesFor(computed) : PageDemand();
  const int missing = std::max(0, PagesFor(end, layout_.page_tokens) - blocks_);
  const int block = computed / layout_.page_tokens;
  // Both pools first, so that a failure evicts nothing.
  FACET_RETURN_IF_ERROR(CheckAvailable(pools_.global, missing + copied.global));
  FACET_RETURN_IF_ERROR(CheckAvailable(pools_.sliding, missing + copied.sliding));
  if (copied.global > 0) {
    FACET_CHECK(copies != nullptr);
    ReplaceWithCopy(pools_.global, &global_[block], &global_sources_, &copies->global);
  }
  if (copied.sliding > 0) {
    FACET_CHECK(copies != nullptr);
    ReplaceWithCopy(pools_.sliding, &sliding_[block], &sliding_sources_, &copies->sliding);
  }
  if (pools_.global != nullptr) AllocateAvailable(pools_.global, missing, &global_);
  if (pools_.sliding != nullptr) AllocateAvailable(pools_.sliding, missing, &sliding_);
  blocks_ += missing;
  return absl::OkStatus();
}

absl::Status SequencePages::Reserve(int end) {
  return Reserve(end, blocks_ * layout_.page_tokens, nullptr);
}

void SequencePages::ReplaceWithCopy(KvBlockPool* pool, int32_t* page, std::vector<int32_t>* sources,
                                    std::vector<PageCopy>* copies) {
  std::vector<int32_t> own;
  AllocateAvailable(pool, 1, &own);
  pool->Hold(*page);
  sources->push_back(*page);
  copies->push_back({*page, own[0]});
  *page = own[0];
}

void SequencePages::ReleaseCopySources() {
  for (int32_t page : global_sources_) pools_.global->ReleaseHeld(page);
  for (int32_t page : sliding_sources_) pools_.sliding->ReleaseHeld(page);
  global_sources_.clear();
  sliding_sources_.clear();
}

void SequencePages::Publish(absl::Span<const BlockHash> hashes, int computed) {
  const int end = std::min(static_cast<int>(hashes.size()), computed / layout_.page_tokens);
  FACET_CHECK(end <= blocks_) << end << " > " << blocks_;
  if (end <= published_) return;
  if (pools_.global != nullptr) PublishBlocks(pools_.global, global_, hashes, published_, end);
  if (pools_.sliding != nullptr) PublishBlocks(pools_.sliding, sliding_, hashes, published_, end);
  published_ = end;
}

void SequencePages::ReleaseBehindWindow(int next_position) {
  ReleaseCopySources();
  if (pools_.sliding == nullptr) return;
  const int start = std::min(FirstSlidingBlock(layout_, next_position), blocks_);
  if (start <= sliding_start_) return;
  // From the first on, as if the window had moved page by page: the hit at the end of the sequence,
  // the likeliest, needs the last ones longest.
  for (int32_t page : sliding().subspan(sliding_start_, start - sliding_start_)) {
    pools_.sliding->Release({&page, 1});
  }
  std::fill(sliding_.begin() + sliding_start_, sliding_.begin() + start, -1);
  sliding_start_ = start;
}

void SequencePages::ReleaseAll() {
  ReleaseCopySources();
  if (pools_.global != nullptr) pools_.global->Release(global_);
  if (pools_.sliding != nullptr) pools_.sliding->Release(sliding().subspan(sliding_start_));
  global_.clear();
  sliding_.clear();
  blocks_ = 0;
  sliding_start_ = 0;
  published_ = 0;
}

PageDemand SequencePages::held() const {
  PageDemand held;
  held.global = static_cast<int>(global_.size());
  held.sliding = static_cast<int>(sliding_.size()) - std::min<int>(sliding_start_, sliding_.size());
  return held;
}

}  // namespace facet
