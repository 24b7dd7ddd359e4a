#include "shard/cache/prefix_match.h"

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;

std::vector<BlockHash> HashesOf(int blocks) {
  BlockHashChain chain(1, "");
  chain.Extend(std::vector<int32_t>(blocks, 7));
  return chain.hashes();
}

// A pool that holds those blocks of `hashes` that `present` says.
std::unique_ptr<KvBlockPool> PoolWith(const std::vector<BlockHash>& hashes,
                                      const std::vector<bool>& present) {
  auto pool = std::move(KvBlockPool::Create(static_cast<int>(hashes.size()))).value();
  std::vector<int32_t> pages;
  EXPECT_THAT(pool->Allocate(static_cast<int>(hashes.size()), &pages), IsOk());
  for (size_t i = 0; i < hashes.size(); ++i) {
    if (present[i]) pool->Publish(pages[i], hashes[i]);
  }
  pool->Release(pages);
  return pool;
}

// The definition read aloud: each start from the longest down, each key that its first step reads.
int LongestByTrying(const KvLayout& layout, const std::vector<bool>& global,
                    const std::vector<bool>& sliding, const CachedPrompt& prompt) {
  for (int blocks = static_cast<int>(prompt.hashes.size()); blocks > 0; --blocks) {
    const int start = blocks * layout.page_tokens;
    bool usable = start <= prompt.max_tokens;
    for (const MediaSpan& span : prompt.unsplit) {
      if (span.start < start && start < span.start + span.tokens) usable = false;
    }
    for (int key = 0; key < start; ++key) {
      const int block = key / layout.page_tokens;
      if (layout.has_global && !global[block]) usable = false;
      if (layout.has_sliding && key > start - layout.sliding_window && !sliding[block]) {
        usable = false;
      }
    }
    if (usable) return blocks;
  }
  return 0;
}

TEST(LongestPrefix, IsTheLongestOfAllOnRandomPatterns) {
  std::mt19937 random(3);
  int hits = 0;
  for (int round = 0; round < 20000; ++round) {
    KvLayout layout;
    layout.page_tokens = 1 + random() % 4;
    layout.sliding_window = 1 + random() % 12;
    layout.has_global = random() % 5 > 0;
    layout.has_sliding = !layout.has_global || random() % 5 > 0;
    const int blocks = random() % 16;
    const std::vector<BlockHash> hashes = HashesOf(blocks);
    const unsigned miss_in = 2 + random() % 20;
    std::vector<bool> global(blocks), sliding(blocks);
    for (int i = 0; i < blocks; ++i) {
      global[i] = random() % (2 * miss_in) > 0;
      sliding[i] = random() % miss_in > 0;
    }
    std::vector<MediaSpan> spans;
    for (int start = random() % 8; random() % 2 > 0; start += 1 + random() % 8) {
      spans.push_back({start, 1 + static_cast<int>(random() % 10), "m"});
      start += spans.back().tokens;
    }
    CachedPrompt prompt{hashes, static_cast<int>(random() % (blocks * layout.page_tokens + 2)),
                        spans};
    std::unique_ptr<KvBlockPool> global_pool, sliding_pool;
    if (blocks > 0) {
      global_pool = PoolWith(hashes, global);
      sliding_pool = PoolWith(hashes, sliding);
    } else {
      global_pool = std::move(KvBlockPool::Create(1)).value();
      sliding_pool = std::move(KvBlockPool::Create(1)).value();
    }
    const KvPools pools{layout.has_global ? global_pool.get() : nullptr,
                        layout.has_sliding ? sliding_pool.get() : nullptr};
    const int longest = LongestPrefix(layout, pools, prompt);
    ASSERT_EQ(longest, LongestByTrying(layout, global, sliding, prompt)) << "round " << round;
    hits += longest > 0;
  }
  EXPECT_GT(hits, 5000);  // the patterns are not all misses
}

}  // namespace
}  // namespace facet
