// Random lives of sequences over both pools: what holds after every operation.

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "shard/cache/sequence_pages.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;

constexpr int kPageTokens = 4;
constexpr int kPages = 60;

// What a page holds: for each of its positions all tokens up to it, as a hash chain would see them.
using Contents = std::vector<std::vector<int32_t>>;

struct Live {
  Live(const KvLayout& layout, const KvPools& pools) : pages(layout, pools) {}
  SequencePages pages;
  std::vector<int32_t> tokens;  // all known
  int computed = 0;
  BlockHashChain chain{kPageTokens, "salt"};
};

class World {
 public:
  World() {
    layout_.page_tokens = kPageTokens;
    layout_.sliding_window = 10;
    global_ = std::move(KvBlockPool::Create(kPages)).value();
    sliding_ = std::move(KvBlockPool::Create(kPages)).value();
    contents_[0].resize(kPages, Contents(kPageTokens));
    contents_[1].resize(kPages, Contents(kPageTokens));
  }

  void Start() {  // one of three prefixes, then its own tokens
    auto live = std::make_unique<Live>(layout_, pools());
    const int shared = random_() % 24;
    live->tokens.assign(shared, static_cast<int32_t>(random_() % 3));
    for (int i = 1 + random_() % 8; i > 0; --i) live->tokens.push_back(random_() % 2);
    live->chain.Extend(live->tokens);
    const CachedPrompt prompt{live->chain.hashes(), static_cast<int>(live->tokens.size()) - 1};
    const PrefixHit hit = live->pages.PeekPrefix(prompt);
    const int available = global_->available_pages();
    live->computed = live->pages.AdoptPrefix(prompt);
    ASSERT_EQ(live->computed, hit.tokens);
    ASSERT_EQ(live->pages.held().global, hit.pages.global);
    ASSERT_EQ(live->pages.held().sliding, hit.pages.sliding);
    ASSERT_EQ(global_->available_pages(), available - hit.cached.global);
    ASSERT_LT(live->computed, static_cast<int>(live->tokens.size()));
    hits_ += live->computed > 0;
    lives_.push_back(std::move(live));
  }

  // A step of a random sequence; without pages for it the sequence is dropped.
  void Step() {
    const size_t i = random_() % lives_.size();
    Live& live = *lives_[i];
    const int count = 1 + random_() % 6;
    while (static_cast<int>(live.tokens.size()) < live.computed + count) {
      live.tokens.push_back(random_() % 2);
    }
    const int end = live.computed + count;
    const bool fits = end <= live.pages.ReservableEnd(live.computed);
    PageCopies copies;
    ASSERT_EQ(live.pages.Reserve(end, live.computed, &copies).ok(), fits);
    if (!fits) {
      Drop(i);
      return;
    }
    copies_ += static_cast<int>(copies.global.size());
    for (const PageCopy& c : copies.global) contents_[0][c.to] = contents_[0][c.from];
    for (const PageCopy& c : copies.sliding) contents_[1][c.to] = contents_[1][c.from];
    for (int position = live.computed; position < end; ++position) Write(live, position);
    CheckReads(live, end);
    live.chain.Extend(live.tokens);
    live.computed = end;
    if (random_() % 8 > 0) live.pages.Publish(live.chain.hashes(), end);
    live.pages.ReleaseBehindWindow(end);
  }

  void Fork() {
    const Live& parent = *lives_[random_() % lives_.size()];
    auto child = std::make_unique<Live>(layout_, pools());
    child->tokens.assign(parent.tokens.begin(), parent.tokens.begin() + parent.computed);
    child->computed = parent.computed;
    child->chain.Extend(child->tokens);
    child->pages.ForkFrom(parent.pages, parent.computed);
    lives_.push_back(std::move(child));
  }

  void Drop(size_t i) { lives_.erase(lives_.begin() + i); }
  void DropAny() { Drop(random_() % lives_.size()); }

  void CheckCounts() const {
    for (const KvBlockPool* pool : {global_.get(), sliding_.get()}) {
      std::map<int32_t, int> listed;
      for (const auto& live : lives_) {
        for (int32_t page : pool == global_.get() ? live->pages.global() : live->pages.sliding()) {
          if (page >= 0) ++listed[page];
        }
      }
      int cached = 0;
      for (int page = 0; page < kPages; ++page) {
        ASSERT_EQ(pool->refs(page), listed.count(page) ? listed.at(page) : 0) << page;
        cached += pool->is_cached(page);
      }
      ASSERT_EQ(pool->cached_pages(), cached);
      ASSERT_EQ(pool->used_pages(), static_cast<int>(listed.size()));
      ASSERT_EQ(pool->free_pages() + pool->cached_pages() + pool->used_pages(), kPages);
    }
  }

  void CheckAllAllocatable() {
    lives_.clear();
    CheckCounts();
    for (KvBlockPool* pool : {global_.get(), sliding_.get()}) {
      std::vector<int32_t> pages;
      ASSERT_THAT(pool->Allocate(kPages, &pages), IsOk());
      ASSERT_EQ(pool->cached_pages() + pool->free_pages(), 0);
      pool->Release(pages);
      ASSERT_EQ(pool->free_pages(), kPages);
    }
  }

  std::mt19937& random() { return random_; }
  size_t lives() const { return lives_.size(); }
  int hits() const { return hits_; }
  int copies() const { return copies_; }
  int64_t evictions() const { return global_->evictions() + sliding_->evictions(); }

 private:
  KvPools pools() const { return {global_.get(), sliding_.get()}; }

  static std::vector<int32_t> Past(const Live& live, int position) {
    return {live.tokens.begin(), live.tokens.begin() + position + 1};
  }

  void Write(const Live& live, int position) {
    const int block = position / kPageTokens, row = position % kPageTokens;
    contents_[0][live.pages.global()[block]][row] = Past(live, position);
    contents_[1][live.pages.sliding()[block]][row] = Past(live, position);
  }

  // Every key that the step reads is there and is of this sequence's own past, whoever wrote it.
  void CheckReads(const Live& live, int end) const {
    for (int key = 0; key < end; ++key) {
      const int block = key / kPageTokens, row = key % kPageTokens;
      ASSERT_EQ(contents_[0][live.pages.global()[block]][row], Past(live, key));
      if (key <= live.computed - layout_.sliding_window) continue;
      ASSERT_GE(live.pages.sliding()[block], 0);
      ASSERT_EQ(contents_[1][live.pages.sliding()[block]][row], Past(live, key));
    }
  }

  std::mt19937 random_{11};
  KvLayout layout_;
  std::unique_ptr<KvBlockPool> global_, sliding_;
  std::vector<Contents> contents_[2];  // by pool and page
  std::vector<std::unique_ptr<Live>> lives_;
  int hits_ = 0, copies_ = 0;
};

TEST(PrefixCache, TenThousandRandomOperationsLeakNothingAndReadOnlyTheirOwnPast) {
  World world;
  for (int i = 0; i < 10000; ++i) {
    const unsigned what = world.random()() % 20;
    if (world.lives() == 0 || (what < 2 && world.lives() < 8)) {
      world.Start();
    } else if (what == 2 && world.lives() < 8) {
      world.Fork();
    } else if (what == 3) {
      world.DropAny();
    } else {
      world.Step();
    }
    if (HasFatalFailure()) FAIL() << "operation " << i;
    world.CheckCounts();
    if (HasFatalFailure()) FAIL() << "operation " << i;
  }
  // Each kind of event happened.
  EXPECT_GT(world.hits(), 50);
  EXPECT_GT(world.copies(), 50);
  EXPECT_GT(world.evictions(), 50);
  world.CheckAllAllocatable();
}

// Conversations in turn, each turn longer than the last; the pools hold all of them.
TEST(PrefixCache, RoundRobinSessionsKeepTheirHitsWhileThePoolsAreNotFull) {
  KvLayout layout;
  layout.page_tokens = 16;
  layout.sliding_window = 64;
  auto global = std::move(KvBlockPool::Create(400)).value();
  auto sliding = std::move(KvBlockPool::Create(400)).value();
  std::vector<std::vector<int32_t>> sessions(8);
  std::vector<int> before(8, 0);
  for (int turn = 0; turn < 8; ++turn) {
    for (int i = 0; i < 8; ++i) {
      sessions[i].resize(sessions[i].size() + 100, i);
      const int tokens = static_cast<int>(sessions[i].size());
      BlockHashChain chain(16, "salt");
      chain.Extend(sessions[i]);
      SequencePages pages(layout, {global.get(), sliding.get()});
      ASSERT_EQ(pages.AdoptPrefix({chain.hashes(), tokens - 1}), before[i]) << turn << " " << i;
      PageCopies copies;
      ASSERT_THAT(pages.Reserve(tokens, before[i], &copies), IsOk());
      pages.Publish(chain.hashes(), tokens);
      pages.ReleaseBehindWindow(tokens);
      before[i] = tokens / 16 * 16;
    }
  }
  EXPECT_EQ(global->evictions() + sliding->evictions(), 0);
}

TEST(PrefixCache, ALongPromptHasTheWindowInUseAndTheRestCached) {
  KvLayout layout;
  layout.page_tokens = 16;
  layout.sliding_window = 512;
  auto global = std::move(KvBlockPool::Create(2048)).value();
  auto sliding = std::move(KvBlockPool::Create(1000)).value();
  BlockHashChain chain(16, "salt");
  chain.Extend(std::vector<int32_t>(32768, 1));
  SequencePages pages(layout, {global.get(), sliding.get()});
  PageCopies copies;
  for (int start = 0; start < 32768; start += 256) {
    ASSERT_THAT(pages.Reserve(start + 256, start, &copies), IsOk());
    pages.Publish(chain.hashes(), start + 256);
    pages.ReleaseBehindWindow(start + 256);
  }
  EXPECT_LE(sliding->used_pages(), 512 / 16 + 1);
  EXPECT_EQ(sliding->available_pages(), 1000 - sliding->used_pages());
  EXPECT_EQ(global->used_pages(), 2048);
}

}  // namespace
}  // namespace facet
