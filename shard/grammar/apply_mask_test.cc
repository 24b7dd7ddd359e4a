#include "shard/grammar/apply_mask.h"

#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace facet {
namespace {

TEST(ApplyMaskTest, EqualsItsDefinitionForEveryLengthAroundAWord) {
  std::mt19937 rng(3);
  for (size_t size = 0; size < 200; ++size) {
    // One word more than needed: what it says must not matter.
    std::vector<uint32_t> mask(MaskWords(size) + 1);
    for (uint32_t& word : mask) {
      const uint32_t kind = rng() % 3;
      word = kind == 0 ? 0 : kind == 1 ? ~uint32_t{0} : static_cast<uint32_t>(rng());
    }
    // A float before and after the row, so that the row is misaligned and a stray write shows.
    std::vector<float> row(size + 2, 7.5f), expected;
    for (size_t i = 1; i <= size; ++i) row[i] = static_cast<float>(i);
    expected = row;
    ApplyMask(mask, absl::MakeSpan(row).subspan(1, size));
    ApplyMaskReference(mask, absl::MakeSpan(expected).subspan(1, size));
    EXPECT_EQ(row, expected) << size;
  }
}

TEST(ApplyMaskTest, ForbiddenIdsBecomeMinusInfinityAndTheOthersStay) {
  std::vector<float> row(40, 1.0f);
  const std::vector<uint32_t> mask = {0x80000001u, 0x2u};
  ApplyMask(mask, absl::MakeSpan(row));
  for (int i = 0; i < 40; ++i) {
    const bool allowed = i == 0 || i == 31 || i == 33;
    EXPECT_EQ(row[i], allowed ? 1.0f : -std::numeric_limits<float>::infinity()) << i;
  }
}

}  // namespace
}  // namespace facet
