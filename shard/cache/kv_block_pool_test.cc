#include "shard/cache/kv_block_pool.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

std::unique_ptr<KvBlockPool> MakePool(int num_pages) {
  return std::move(KvBlockPool::Create(num_pages)).value();
}

struct AllocateCase {
  std::string name;
  int num_pages;
  int count;
  absl::StatusCode code;
  int pages_taken;
};
class KvBlockPoolTest : public ::testing::TestWithParam<AllocateCase> {};

TEST_P(KvBlockPoolTest, Allocates) {
  const AllocateCase& c = GetParam();
  auto pool = MakePool(c.num_pages);
  std::vector<int32_t> pages = {77};
  EXPECT_THAT(pool->Allocate(c.count, &pages), StatusIs(c.code));
  EXPECT_EQ(pages.size(), 1 + c.pages_taken);  // appended; a failure takes nothing
  EXPECT_EQ(pages[0], 77);
  EXPECT_EQ(pool->free_pages(), c.num_pages - c.pages_taken);
  EXPECT_EQ(pool->used_pages(), c.pages_taken);
  EXPECT_EQ(pool->num_pages(), c.num_pages);
}
INSTANTIATE_TEST_SUITE_P(Sizes, KvBlockPoolTest,
                         ::testing::ValuesIn(std::vector<AllocateCase>{
                             {"nothing", 4, 0, absl::StatusCode::kOk, 0},
                             {"one", 4, 1, absl::StatusCode::kOk, 1},
                             {"all", 4, 4, absl::StatusCode::kOk, 4},
                             {"one_too_many", 4, 5, absl::StatusCode::kResourceExhausted, 0},
                         }),
                         [](const auto& info) { return info.param.name; });

TEST(KvBlockPool, RefusesToBeEmpty) {
  EXPECT_THAT(KvBlockPool::Create(0),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("num_pages")));
  EXPECT_THAT(KvBlockPool::Create(-3), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(KvBlockPool, LendsEachIdOnce) {
  auto pool = MakePool(4);
  std::vector<int32_t> pages;
  ASSERT_THAT(pool->Allocate(3, &pages), IsOk());
  ASSERT_THAT(pool->Allocate(1, &pages), IsOk());
  EXPECT_THAT(pages, UnorderedElementsAre(0, 1, 2, 3));
}

TEST(KvBlockPool, LendsAReleasedIdAgain) {
  auto pool = MakePool(3);
  std::vector<int32_t> pages;
  ASSERT_THAT(pool->Allocate(3, &pages), IsOk());
  pool->Release({pages[1]});
  std::vector<int32_t> again;
  ASSERT_THAT(pool->Allocate(1, &again), IsOk());
  EXPECT_THAT(again, ElementsAre(pages[1]));
}

TEST(KvBlockPool, SaysHowManyWereWantedAndAreFree) {
  auto pool = MakePool(3);
  std::vector<int32_t> pages;
  ASSERT_THAT(pool->Allocate(2, &pages), IsOk());
  EXPECT_THAT(pool->Allocate(2, &pages),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       AllOf(HasSubstr("2 KV pages wanted"), HasSubstr("1 of 3 are available"))));
}

TEST(KvBlockPoolDeathTest, DiesOfADoubleRelease) {
  auto pool = MakePool(3);
  std::vector<int32_t> pages;
  ASSERT_THAT(pool->Allocate(1, &pages), IsOk());
  pool->Release(pages);
  EXPECT_DEATH(pool->Release(pages), "not in use");
}

TEST(KvBlockPoolDeathTest, DiesOfAnIdThatIsNotItsOwn) {
  auto pool = MakePool(3);
  EXPECT_DEATH(pool->Release({3}), "KV page 3 of 3");
  EXPECT_DEATH(pool->Release({-1}), "KV page -1 of 3");
}

std::vector<BlockHash> HashesOf(int blocks) {
  BlockHashChain chain(1, "");
  chain.Extend(std::vector<int32_t>(blocks, 7));
  return chain.hashes();
}

TEST(KvBlockPool, EvictsTheLeastRecentlyUsedAndTheTailOfASequenceFirst) {
  auto pool = MakePool(4);
  const std::vector<BlockHash> hashes = HashesOf(4);
  std::vector<int32_t> pages;
  ASSERT_THAT(pool->Allocate(4, &pages), IsOk());
  for (int i = 0; i < 4; ++i) pool->Publish(pages[i], hashes[i]);
  pool->Release({pages[0], pages[1]});
  pool->Release({pages[2], pages[3]});
  EXPECT_EQ(pool->cached_pages(), 4);
  EXPECT_EQ(pool->available_pages(), 4);
  pool->AddRef(pages[1]);  // a use
  pool->Release({pages[1]});
  std::vector<int32_t> evicted;
  ASSERT_THAT(pool->Allocate(4, &evicted), IsOk());
  EXPECT_THAT(evicted, ElementsAre(pages[0], pages[3], pages[2], pages[1]));
  EXPECT_EQ(pool->evictions(), 4);
  EXPECT_EQ(pool->Find(hashes[0]), KvBlockPool::kNone);
}

TEST(KvBlockPool, OnePageHasAHash) {
  auto pool = MakePool(3);
  const BlockHash hash = HashesOf(1)[0];
  std::vector<int32_t> pages;
  ASSERT_THAT(pool->Allocate(2, &pages), IsOk());
  pool->Publish(pages[0], hash);
  pool->Publish(pages[1], hash);  // in use elsewhere: stays nameless
  EXPECT_EQ(pool->Find(hash), pages[0]);
  pool->Release({pages[0]});
  pool->Publish(pages[1], hash);  // only cached elsewhere: takes its place
  EXPECT_EQ(pool->Find(hash), pages[1]);
  EXPECT_EQ(pool->cached_pages(), 0);
  EXPECT_EQ(pool->free_pages(), 2);
}

}  // namespace
}  // namespace facet
