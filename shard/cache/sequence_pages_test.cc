#include "shard/cache/sequence_pages.h"

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A layout with its pools.
struct Cache {
  Cache(int page_tokens, int window, int global_pages, int sliding_pages) {
    layout.page_tokens = page_tokens;
    layout.sliding_window = window;
    layout.has_global = global_pages > 0;
    layout.has_sliding = sliding_pages > 0;
    if (layout.has_global) global = std::move(KvBlockPool::Create(global_pages)).value();
    if (layout.has_sliding) sliding = std::move(KvBlockPool::Create(sliding_pages)).value();
  }
  KvPools pools() const { return {global.get(), sliding.get()}; }

  KvLayout layout;
  std::unique_ptr<KvBlockPool> global;
  std::unique_ptr<KvBlockPool> sliding;
};

TEST(SequencePages, CoversThePositionsAsked) {
  Cache cache(4, 8, 10, 10);
  SequencePages pages(cache.layout, cache.pools());
  EXPECT_THAT(pages.global(), IsEmpty());
  ASSERT_THAT(pages.Reserve(4), IsOk());
  EXPECT_THAT(pages.global(), ElementsAre(0));
  ASSERT_THAT(pages.Reserve(5), IsOk());
  EXPECT_THAT(pages.global(), ElementsAre(0, 1));
  EXPECT_THAT(pages.sliding(), ElementsAre(0, 1));
  ASSERT_THAT(pages.Reserve(8), IsOk());  // already there
  EXPECT_EQ(cache.global->used_pages(), 2);
}

TEST(SequencePages, KeepsEveryKeyThatTheNextTokenSees) {
  Cache cache(4, 6, 10, 10);
  SequencePages pages(cache.layout, cache.pools());
  ASSERT_THAT(pages.Reserve(20), IsOk());
  pages.ReleaseBehindWindow(8);  // sees keys 3 to 8: page 0 holds key 3
  EXPECT_THAT(pages.sliding(), ElementsAre(0, 1, 2, 3, 4));
  pages.ReleaseBehindWindow(9);  // sees keys 4 to 9
  EXPECT_THAT(pages.sliding(), ElementsAre(-1, 1, 2, 3, 4));
  pages.ReleaseBehindWindow(16);  // sees keys 11 to 16
  EXPECT_THAT(pages.sliding(), ElementsAre(-1, -1, 2, 3, 4));
  EXPECT_THAT(pages.global(), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(pages.held().global, 5);
  EXPECT_EQ(pages.held().sliding, 3);
  EXPECT_EQ(cache.sliding->used_pages(), 3);
}

TEST(SequencePages, ReleasesNothingTwice) {
  Cache cache(4, 6, 10, 10);
  SequencePages pages(cache.layout, cache.pools());
  ASSERT_THAT(pages.Reserve(20), IsOk());
  pages.ReleaseBehindWindow(16);
  pages.ReleaseBehindWindow(16);
  pages.ReleaseBehindWindow(9);  // going back changes nothing
  EXPECT_EQ(pages.held().sliding, 3);
}

TEST(SequencePages, WindowOfOneKeepsNoPageOfThePast) {
  Cache cache(4, 1, 10, 10);
  SequencePages pages(cache.layout, cache.pools());
  ASSERT_THAT(pages.Reserve(4), IsOk());
  pages.ReleaseBehindWindow(4);
  EXPECT_EQ(pages.held().sliding, 0);
  ASSERT_THAT(pages.Reserve(5), IsOk());
  EXPECT_EQ(pages.sliding()[0], -1);
  EXPECT_GE(pages.sliding()[1], 0);
}

TEST(SequencePages, TakesNothingWhenEitherPoolLacksPages) {
  for (auto [global_pages, sliding_pages] : std::vector<std::pair<int, int>>{{3, 9}, {9, 3}}) {
    Cache cache(4, 6, global_pages, sliding_pages);
    SequencePages pages(cache.layout, cache.pools());
    ASSERT_THAT(pages.Reserve(8), IsOk());
    EXPECT_EQ(pages.ReservableEnd(), 12);
    EXPECT_THAT(pages.Reserve(13), StatusIs(absl::StatusCode::kResourceExhausted));
    EXPECT_EQ(pages.global().size(), 2);
    EXPECT_EQ(pages.sliding().size(), 2);
    EXPECT_EQ(cache.global->used_pages(), 2);
    EXPECT_EQ(cache.sliding->used_pages(), 2);
    EXPECT_THAT(pages.Reserve(12), IsOk());
  }
}

TEST(SequencePages, GivesEverythingBackAtItsEnd) {
  Cache cache(4, 6, 10, 10);
  {
    SequencePages pages(cache.layout, cache.pools());
    ASSERT_THAT(pages.Reserve(30), IsOk());
    pages.ReleaseBehindWindow(29);
  }
  EXPECT_EQ(cache.global->used_pages(), 0);
  EXPECT_EQ(cache.sliding->used_pages(), 0);
}

TEST(SequencePages, StartsAnewAfterReleaseAll) {
  Cache cache(4, 6, 10, 10);
  SequencePages pages(cache.layout, cache.pools());
  ASSERT_THAT(pages.Reserve(30), IsOk());
  pages.ReleaseBehindWindow(29);
  pages.ReleaseAll();
  EXPECT_EQ(cache.global->used_pages() + cache.sliding->used_pages(), 0);
  ASSERT_THAT(pages.Reserve(5), IsOk());
  EXPECT_EQ(pages.held().global, 2);
  EXPECT_EQ(pages.held().sliding, 2);
  EXPECT_THAT(pages.sliding(), ::testing::Each(::testing::Ge(0)));
}

TEST(SequencePages, ServesAModelWithOnePoolOnly) {
  Cache no_sliding(4, 0, 10, 0);
  SequencePages global(no_sliding.layout, no_sliding.pools());
  EXPECT_EQ(global.ReservableEnd(), 40);
  ASSERT_THAT(global.Reserve(9), IsOk());
  global.ReleaseBehindWindow(9);
  EXPECT_EQ(global.global().size(), 3);
  EXPECT_THAT(global.sliding(), IsEmpty());
  EXPECT_EQ(global.held().sliding, 0);

  Cache no_global(4, 6, 0, 10);
  SequencePages sliding(no_global.layout, no_global.pools());
  ASSERT_THAT(sliding.Reserve(9), IsOk());
  EXPECT_THAT(sliding.global(), IsEmpty());
  EXPECT_EQ(sliding.sliding().size(), 3);
  EXPECT_EQ(sliding.held().global, 0);
}

// A context of 32768 costs the sliding pool a window and a page, not 32768 tokens.
TEST(SequencePages, SlidingPagesDoNotGrowWithTheContext) {
  Cache cache(16, 512, 2048, 80);
  SequencePages pages(cache.layout, cache.pools());
  const int chunk = 256;
  int most = 0;
  for (int start = 0; start < 32768; start += chunk) {
    ASSERT_THAT(pages.Reserve(start + chunk), IsOk());
    most = std::max(most, pages.held().sliding);
    pages.ReleaseBehindWindow(start + chunk);
  }
  EXPECT_EQ(pages.held().global, 2048);
  EXPECT_EQ(pages.held().sliding, 512 / 16);
  EXPECT_LE(most, WorstCaseDemand(cache.layout, 32768, chunk).sliding);
}

// Random steps of several sequences over shared pools: what a step reads is always there, and no
// page belongs to two sequences.
TEST(SequencePages, RandomStepsShareNoPageAndLackNoKey) {
  std::mt19937 random(7);
  for (int round = 0; round < 20; ++round) {
    const int page_tokens = 1 + random() % 8;
    const int window = 1 + random() % 24;
    Cache cache(page_tokens, window, 200, 100);
    std::vector<std::unique_ptr<SequencePages>> sequences(4);
    std::vector<int> computed(4, 0);
    for (auto& s : sequences) {
      s = std::make_unique<SequencePages>(cache.layout, cache.pools());
    }
    for (int step = 0; step < 200; ++step) {
      const int i = random() % sequences.size();
      SequencePages& pages = *sequences[i];
      const int end = computed[i] + 1 + random() % 12;
      const bool fits = end <= pages.ReservableEnd();
      EXPECT_EQ(pages.Reserve(end).ok(), fits);
      if (!fits) {
        pages.ReleaseAll();
        computed[i] = 0;
        continue;
      }
      for (int key = std::max(0, computed[i] - window + 1); key < end; ++key) {
        ASSERT_GE(pages.sliding()[key / page_tokens], 0) << key;
      }
      for (int key = 0; key < end; ++key) ASSERT_GE(pages.global()[key / page_tokens], 0) << key;
      computed[i] = end;
      pages.ReleaseBehindWindow(end);

      std::set<int32_t> global, sliding;
      int held_global = 0, held_sliding = 0;
      for (const auto& s : sequences) {
        global.insert(s->global().begin(), s->global().end());
        sliding.insert(s->sliding().begin(), s->sliding().end());
        held_global += s->held().global;
        held_sliding += s->held().sliding;
      }
      sliding.erase(-1);
      ASSERT_EQ(static_cast<int>(global.size()), held_global);
      ASSERT_EQ(static_cast<int>(sliding.size()), held_sliding);
      ASSERT_EQ(cache.global->used_pages(), held_global);
      ASSERT_EQ(cache.sliding->used_pages(), held_sliding);
    }
  }
}

}  // namespace
}  // namespace facet
