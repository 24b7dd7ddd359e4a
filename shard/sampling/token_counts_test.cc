#include "shard/sampling/token_counts.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using ::testing::FieldsAre;
using ::testing::IsEmpty;

TEST(TokenCounts, StartsEmpty) { EXPECT_THAT(TokenCounts().entries(), IsEmpty()); }

TEST(TokenCounts, TellsPromptFromGenerated) {
  TokenCounts counts(std::vector<int32_t>{7, 5, 7});
  counts.AddGenerated(9);
  counts.AddGenerated(5);
  counts.AddGenerated(9);
  EXPECT_THAT(counts.entries(), ElementsAre(FieldsAre(7, 0), FieldsAre(5, 1), FieldsAre(9, 2)));
}

}  // namespace
}  // namespace facet
