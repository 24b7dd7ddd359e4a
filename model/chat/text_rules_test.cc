#include "model/chat/text_rules.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "model/chat/lower_case.h"

namespace facet {
namespace {

TEST(TrimTest, TakesUnicodeWhiteSpaceFromBothEnds) {
  EXPECT_EQ(Trim(""), "");
  EXPECT_EQ(Trim(" \t\r\n\x1C"), "");
  EXPECT_EQ(Trim("\u00A0\u2003a \u3000b\u0085\u2028 "), "a \u3000b");
  EXPECT_EQ(Trim("\u200Ba\uFEFF"), "\u200Ba\uFEFF");  // no white space
  EXPECT_EQ(Trim(" \xFF "), "\xFF");
}

TEST(StripThoughtsTest, CutsFromEachOpeningToTheNextClosing) {
  EXPECT_EQ(StripThoughts("a <|channel>t<channel|> b "), "a  b");
  EXPECT_EQ(StripThoughts("<|channel>never closed"), "");
  EXPECT_EQ(StripThoughts("never opened<channel|>"), "never opened");
  EXPECT_EQ(StripThoughts("a<|channel>b<|channel>c<channel|>d"), "ad");
  EXPECT_EQ(StripThoughts(" plain "), "plain");
}

TEST(FormatDoubleTest, IsThatOfPython) {
  const std::vector<std::pair<double, std::string>> rows = {
      {0.0, "0.0"},
      {-0.0, "-0.0"},
      {1.0, "1.0"},
      {15.5, "15.5"},
      {-2.5, "-2.5"},
      {100.0, "100.0"},
      {0.1, "0.1"},
      {0.0001, "0.0001"},
      {0.00001, "1e-05"},
      {1.5e-7, "1.5e-07"},
      {1e15, "1000000000000000.0"},
      {1e16, "1e+16"},
      {9999999999999998.0, "9999999999999998.0"},
      {123456789012345680.0, "1.2345678901234568e+17"},
      {1e22, "1e+22"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {5e-324, "5e-324"}};
  for (const auto& [value, text] : rows) EXPECT_EQ(FormatDouble(value), text);
}

TEST(FormatDoubleTest, ReadsBackAsTheSameNumber) {
  std::mt19937_64 rng(3);
  for (int i = 0; i < 20000; ++i) {
    const uint64_t bits = rng();
    double value;
    std::memcpy(&value, &bits, sizeof(value));
    if (!std::isfinite(value)) continue;
    const std::string text = FormatDouble(value);
    EXPECT_EQ(std::strtod(text.c_str(), nullptr), value) << text;
    EXPECT_NE(text.find_first_of(".e"), std::string::npos) << text;
  }
}

TEST(LowerCaseTest, FollowsUnicode) {
  EXPECT_EQ(LowerCase("AbZ_19[@"), "abz_19[@");
  EXPECT_EQ(LowerCase("\u00C4\u00D7\u00D8\u00DF\u0178"), "\u00E4\u00D7\u00F8\u00DF\u00FF");
  EXPECT_EQ(LowerCase("\u0100\u0101\u0102"), "\u0101\u0101\u0103");
  EXPECT_EQ(LowerCase("\u0130"), "i\u0307");
  EXPECT_EQ(LowerCase("\u03A9\u0416\u4E2D\U00010400"), "\u03C9\u0436\u4E2D\U00010428");
  EXPECT_EQ(LowerCase("\x80"), "\x80");
}

}  // namespace
}  // namespace facet
