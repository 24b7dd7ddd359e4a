#include "model/tokenizer/utf8.h"

#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "model/tokenizer/testing/fixtures.h"

namespace facet {
namespace {

TEST(Utf8Test, EveryScalarValueIsReadBack) {
  for (uint32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    const std::string bytes = testing::Utf8(c);
    const Utf8Step step = StepUtf8(bytes);
    ASSERT_TRUE(step.kind == Utf8Kind::kWhole && step.code_point == c) << c;
    ASSERT_EQ(step.size, static_cast<int>(bytes.size()));
    ASSERT_EQ(Utf8SizeFromLead(static_cast<uint8_t>(bytes[0])), step.size);
  }
}

// Every string of up to 4 of the bytes at which a rule changes, against the set of all beginnings
// of code points.
TEST(Utf8Test, AgreesWithTheListOfAllCodePointsAtEveryBorder) {
  std::set<std::string> beginnings;
  for (uint32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    const std::string bytes = testing::Utf8(c);
    for (size_t size = 1; size < bytes.size(); ++size) beginnings.insert(bytes.substr(0, size));
  }
  const std::string borders =
      "\x41\x7F\x80\x8F\x90\x9F\xA0\xBF\xC0\xC1\xC2\xDF\xE0\xE1\xEC\xED\xEE\xEF\xF0\xF1\xF3\xF4\xF5"
      "\xFF";
  std::vector<std::string> strings = {""};
  for (size_t i = 0; i < strings.size(); ++i) {
    const std::string bytes = strings[i];
    if (bytes.size() < 4) {
      for (const char c : borders) strings.push_back(bytes + c);
    }
    if (bytes.empty()) continue;
    size_t maximal = 1;  // the longest beginning of a code point, at least 1
    while (maximal < bytes.size() && beginnings.count(bytes.substr(0, maximal + 1)) != 0) ++maximal;
    const bool begun = beginnings.count(bytes.substr(0, maximal)) != 0;
    const Utf8Step step = StepUtf8(bytes);
    if (step.kind == Utf8Kind::kWhole) {
      ASSERT_EQ(testing::Utf8(step.code_point), bytes.substr(0, step.size));
    } else {
      ASSERT_EQ(step.size, static_cast<int>(maximal));
      ASSERT_EQ(step.kind == Utf8Kind::kTruncated, begun && maximal == bytes.size());
    }
  }
}

TEST(Utf8Test, FindsTheFirstBadByteWhereverItStands) {
  for (int before = 0; before < 20; ++before) {
    for (const std::string good : {"", "\u00e9", "\u65e5", "\U0001F60A"}) {
      const std::string prefix = std::string(before, 'x') + good;
      EXPECT_EQ(FindInvalidUtf8(prefix + "plain text"), std::nullopt);
      for (const std::string bad :
           {"\xFF", "\x80", "\xC3", "\xE2\x96", "\xF0\x9F\x98", "\xED\xA0\x80"}) {
        EXPECT_EQ(FindInvalidUtf8(prefix + bad), prefix.size());
        EXPECT_EQ(FindInvalidUtf8(prefix + bad + "more plain text"), prefix.size());
      }
    }
  }
}

}  // namespace
}  // namespace facet
