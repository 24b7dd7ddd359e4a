#include "shard/collective/shm_segment.h"

#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;

constexpr ShmSegment::Shape kShape{3, 4096};

class ShmSegmentTest : public ::testing::Test {
 protected:
  ~ShmSegmentTest() override { shm_unlink(name_.c_str()); }

  auto Attach(int rank) {
    return ShmSegment::Attach(name_, rank, kShape,
                              std::chrono::steady_clock::now() + std::chrono::seconds(1));
  }

  const std::string name_ = absl::StrCat("/facet-segment-test-", getpid());
};

TEST_F(ShmSegmentTest, RanksSeeTheSameMemory) {
  const auto creator = ShmSegment::Create(name_, kShape);
  ASSERT_THAT(creator, IsOk());
  const auto rank2 = Attach(2);
  ASSERT_THAT(rank2, IsOk());
  EXPECT_NE((*creator)->slot(0, 0), (*rank2)->slot(0, 0)) << "two mappings";
  for (int rank = 0; rank < kShape.world_size; ++rank) {
    for (int parity = 0; parity < 2; ++parity) {
      const uint8_t mark = static_cast<uint8_t>(10 * rank + parity);
      (*creator)->slot(rank, parity)[kShape.slot_bytes - 1] = mark;
      (*creator)->slot(rank, parity)[0] = mark;
    }
  }
  for (int rank = 0; rank < kShape.world_size; ++rank) {
    for (int parity = 0; parity < 2; ++parity) {
      const uint8_t mark = static_cast<uint8_t>(10 * rank + parity);
      EXPECT_EQ((*rank2)->slot(rank, parity)[0], mark);
      EXPECT_EQ((*rank2)->slot(rank, parity)[kShape.slot_bytes - 1], mark);
      EXPECT_EQ(reinterpret_cast<uintptr_t>((*rank2)->slot(rank, parity)) % kCacheLine, 0u);
    }
  }
}

TEST_F(ShmSegmentTest, ARankIsAliveUntilItsHolderIsGone) {
  auto creator = ShmSegment::Create(name_, kShape);
  ASSERT_THAT(creator, IsOk());
  EXPECT_TRUE((*creator)->IsAlive(1)) << "has not come yet, so it has not died";
  auto rank1 = Attach(1);
  ASSERT_THAT(rank1, IsOk());
  EXPECT_TRUE((*creator)->IsAlive(1));
  EXPECT_TRUE((*rank1)->IsAlive(0));
  rank1->reset();
  EXPECT_FALSE((*creator)->IsAlive(1));
  rank1 = Attach(2);
  ASSERT_THAT(rank1, IsOk());
  creator->reset();
  EXPECT_FALSE((*rank1)->IsAlive(0));
}

TEST_F(ShmSegmentTest, ARankCannotAttachTwiceNotEvenAfterItsDeath) {
  const auto creator = ShmSegment::Create(name_, kShape);
  ASSERT_THAT(creator, IsOk());
  auto first = Attach(1);
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(Attach(1), StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("rank 1")));
  first->reset();
  EXPECT_THAT(Attach(1), StatusIs(absl::StatusCode::kAlreadyExists,
                                  HasSubstr("the group has to be made anew")));
  EXPECT_THAT(Attach(2), IsOk());
}

TEST_F(ShmSegmentTest, UnlinkTakesTheNameFromItsOwnMemoryOnly) {
  const auto first = ShmSegment::Create(name_, kShape);
  ASSERT_THAT(first, IsOk());
  (*first)->Unlink();
  const auto second = ShmSegment::Create(name_, kShape);
  ASSERT_THAT(second, IsOk()) << "the name is free";
  (*first)->Unlink();
  EXPECT_THAT(Attach(1), IsOk()) << "the second segment lost its name";
}

TEST_F(ShmSegmentTest, AnonymousMemoryHasNoNameAndNoDead) {
  const auto segment = ShmSegment::CreateAnonymous(kShape);
  ASSERT_THAT(segment, IsOk());
  EXPECT_TRUE((*segment)->IsAlive(2));
  (*segment)->Unlink();
  (*segment)->slot(2, 1)[kShape.slot_bytes - 1] = 1;
}

}  // namespace
}  // namespace facet
