#include "model/answer/trimmed_text.h"

#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

struct TrimCase {
  std::vector<std::string> pieces;
  std::vector<std::string> out;  // by piece
};

TEST(TrimmedTextTest, DropsLeadingSpaceAndHoldsTrailingSpace) {
  const TrimCase cases[] = {
      {{"", " ", "\n\n"}, {"", "", ""}},
      {{"a"}, {"a"}},
      {{" a ", "b"}, {"a", " b"}},
      {{"a", " ", "\n", "b "}, {"a", "", "", " \nb"}},
      {{"\u3000\u2003x\u00A0\t", "\u2028y"}, {"x", "\u00A0\t\u2028y"}},
      {{"\u200B"}, {"\u200B"}},  // zero width, but no white space
      {{"\u00E9 ", "\xF0\x9F\x98\x80"}, {"\u00E9", " \xF0\x9F\x98\x80"}},
  };
  for (const TrimCase& c : cases) {
    TrimmedText text;
    std::vector<std::string> out;
    for (const std::string& piece : c.pieces) text.Append(piece, &out.emplace_back());
    EXPECT_EQ(out, c.out) << absl::StrJoin(c.pieces, "|");
  }
}

}  // namespace
}  // namespace facet
