#include "services/serving/byte_size.h"

#include "gtest/gtest.h"

namespace facet {
namespace {

TEST(ByteSizeTest, ParsesNumbersWithAndWithoutUnit) {
  const std::pair<const char*, int64_t> cases[] = {{"0", 0},
                                                   {"17", 17},
                                                   {"1KiB", 1024},
                                                   {"1.5GiB", 3ll << 29},
                                                   {" 64 MiB ", 64ll << 20},
                                                   {"2TiB", 2ll << 40},
                                                   {"0.5KiB", 512}};
  for (const auto& [text, bytes] : cases) {
    ByteSize size;
    std::string error;
    EXPECT_TRUE(AbslParseFlag(text, &size, &error)) << text << ": " << error;
    EXPECT_EQ(size.bytes, bytes) << text;
  }
}

TEST(ByteSizeTest, RefusesTheRest) {
  for (const char* text :
       {"", "x", "-1", "1GB", "1Gi", "GiB", "nan", "inf", "1e40", "9999999TiB"}) {
    ByteSize size;
    std::string error;
    EXPECT_FALSE(AbslParseFlag(text, &size, &error)) << text;
    EXPECT_FALSE(error.empty());
  }
}

TEST(ByteSizeTest, WritesTheLargestUnitThatFitsExactly) {
  EXPECT_EQ(AbslUnparseFlag({0}), "0");
  EXPECT_EQ(AbslUnparseFlag({1000}), "1000");
  EXPECT_EQ(AbslUnparseFlag({3ll << 29}), "1536MiB");
  EXPECT_EQ(AbslUnparseFlag({2ll << 30}), "2GiB");
}

}  // namespace
}  // namespace facet
