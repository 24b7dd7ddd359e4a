#include "base/content_cache.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace facet {
namespace {

using Cache = ContentCache<std::string>;

std::shared_ptr<const std::string> Text(const std::string& text) {
  return std::make_shared<const std::string>(text);
}

ContentKey KeyOf(uint8_t first, uint8_t last) {
  ContentKey key = {};
  key.front() = first;
  key.back() = last;
  return key;
}

TEST(ContentKeyTest, DiffersWithTheSettingsTheBytesAndWhereTheyAreCut) {
  std::set<ContentKey> keys;
  keys.insert(MakeContentKey("image 70", {"ab", "c"}));
  keys.insert(MakeContentKey("image 280", {"ab", "c"}));
  keys.insert(MakeContentKey("image 70", {"abc"}));
  keys.insert(MakeContentKey("image 70", {"a", "bc"}));
  keys.insert(MakeContentKey("image 70", {"ab", "d"}));
  keys.insert(MakeContentKey("image 70ab", {"c"}));
  EXPECT_EQ(keys.size(), 6u);
  EXPECT_EQ(keys.count(MakeContentKey("image 70", {"ab", "c"})), 1u);
}

TEST(ContentCacheTest, KeysThatShareTheirFirst31BytesAreNotMixedUp) {
  Cache cache(100);
  cache.Insert(KeyOf(7, 1), Text("one"), 3);
  EXPECT_EQ(cache.Find(KeyOf(7, 2)), nullptr);
  cache.Insert(KeyOf(7, 2), Text("two"), 3);
  EXPECT_EQ(*cache.Find(KeyOf(7, 1)), "one");
  EXPECT_EQ(*cache.Find(KeyOf(7, 2)), "two");
}

TEST(ContentCacheTest, ForgetsWhatWasUsedLeastRecentlyAndStaysWithinItsBytes) {
  Cache cache(10);
  cache.Insert(KeyOf(1, 0), Text("a"), 4);
  cache.Insert(KeyOf(2, 0), Text("b"), 4);
  ASSERT_NE(cache.Find(KeyOf(1, 0)), nullptr);  // now 2 is the older one
  cache.Insert(KeyOf(3, 0), Text("c"), 4);
  EXPECT_EQ(cache.bytes(), 8);
  EXPECT_NE(cache.Find(KeyOf(1, 0)), nullptr);
  EXPECT_EQ(cache.Find(KeyOf(2, 0)), nullptr);
  EXPECT_NE(cache.Find(KeyOf(3, 0)), nullptr);
}

TEST(ContentCacheTest, WhatIsLargerThanTheCacheIsNotKeptAndThrowsNothingOut) {
  Cache cache(10);
  cache.Insert(KeyOf(1, 0), Text("a"), 10);
  cache.Insert(KeyOf(2, 0), Text("b"), 11);
  EXPECT_NE(cache.Find(KeyOf(1, 0)), nullptr);
  EXPECT_EQ(cache.Find(KeyOf(2, 0)), nullptr);
}

TEST(ContentCacheTest, OfNoBytesRemembersNothing) {
  Cache cache(0);
  cache.Insert(KeyOf(1, 0), Text("a"), 1);
  EXPECT_EQ(cache.Find(KeyOf(1, 0)), nullptr);
  EXPECT_EQ(cache.bytes(), 0);
}

TEST(ContentCacheTest, AValueInUseOutlivesItsPlaceInTheCache) {
  Cache cache(4);
  cache.Insert(KeyOf(1, 0), Text("a"), 4);
  const std::shared_ptr<const std::string> held = cache.Find(KeyOf(1, 0));
  cache.Insert(KeyOf(2, 0), Text("b"), 4);
  EXPECT_EQ(*held, "a");
}

}  // namespace
}  // namespace facet
