#include "shard/cache/block_hash.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace facet {
namespace {

std::vector<BlockHash> Hashes(const std::vector<int32_t>& tokens, absl::string_view salt = "",
                              std::vector<MediaSpan> media = {}, int page_tokens = 4) {
  BlockHashChain chain(page_tokens, salt, std::move(media));
  chain.Extend(tokens);
  return chain.hashes();
}

const std::vector<int32_t> kTokens = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};

TEST(BlockHashChain, HashesFullBlocksOnly) {
  EXPECT_EQ(Hashes(kTokens).size(), 3);
  EXPECT_TRUE(Hashes({1, 2, 3}).empty());
}

TEST(BlockHashChain, ExtendedTokenByTokenEqualsHashedAtOnce) {
  const std::vector<MediaSpan> media = {{1, 2, "a"}, {6, 5, "b"}};
  BlockHashChain chain(4, "salt", media);
  for (size_t n = 1; n <= kTokens.size(); ++n) {
    chain.Extend(absl::MakeConstSpan(kTokens).first(n));
  }
  EXPECT_EQ(chain.hashes(), Hashes(kTokens, "salt", media));
}

TEST(BlockHashChain, ATokenChangesItsBlockAndAllBehindIt) {
  std::vector<int32_t> other = kTokens;
  other[5] = 99;
  const auto a = Hashes(kTokens), b = Hashes(other);
  EXPECT_TRUE(a[0] == b[0]);
  EXPECT_FALSE(a[1] == b[1]);
  EXPECT_FALSE(a[2] == b[2]);
}

struct DifferCase {
  std::string name;
  std::string salt;
  std::vector<MediaSpan> media;
  int equal_blocks;  // from the first on, with the salt "x" and a picture "a" at [5, 10)
};
class BlockHashDifferTest : public ::testing::TestWithParam<DifferCase> {};

TEST_P(BlockHashDifferTest, FromTheFirstBlockThatDepends) {
  const DifferCase& c = GetParam();
  const auto a = Hashes(kTokens, "x", {{5, 5, "a"}});
  const auto b = Hashes(kTokens, c.salt, c.media);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(a[i] == b[i], i < c.equal_blocks) << i;
}
INSTANTIATE_TEST_SUITE_P(Cases, BlockHashDifferTest,
                         ::testing::ValuesIn(std::vector<DifferCase>{
                             {"the_same", "x", {{5, 5, "a"}}, 3},
                             {"another_tenant", "y", {{5, 5, "a"}}, 0},
                             {"no_tenant", "", {{5, 5, "a"}}, 0},
                             {"another_picture", "x", {{5, 5, "b"}}, 1},
                             {"no_picture", "x", {}, 1},
                             {"moved", "x", {{6, 5, "a"}}, 1},
                             {"longer", "x", {{5, 6, "a"}}, 1},
                             {"another_before", "x", {{0, 1, "b"}, {5, 5, "a"}}, 0},
                             {"another_behind", "x", {{5, 5, "a"}, {11, 1, "b"}}, 2},
                         }),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace facet
