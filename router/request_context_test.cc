#include "router/request_context.h"

#include "gtest/gtest.h"

namespace facet {
namespace {

constexpr char kTrace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(RequestIdTest, AVisibleIdIsKept) {
  EXPECT_EQ(RequestIdOrNew("req-42/a:b"), "req-42/a:b");
  EXPECT_EQ(RequestIdOrNew(std::string(128, 'x')), std::string(128, 'x'));
}

TEST(RequestIdTest, AnythingElseIsReplacedByAFreshOne) {
  for (const std::string& bad :
       {std::string(), std::string(129, 'x'), std::string("a b"), std::string("a\nb"),
        std::string("caf\xc3\xa9"), std::string("a\0b", 3)}) {
    const std::string id = RequestIdOrNew(bad);
    EXPECT_EQ(id.size(), 32u);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_NE(id, RequestIdOrNew(bad));
  }
}

TEST(TraceparentTest, AcceptsWhatTheStandardDefines) {
  EXPECT_TRUE(IsTraceparent(kTrace));
  std::string later = std::string(kTrace) + "-more";
  later[1] = '1';
  EXPECT_TRUE(IsTraceparent(later));
  EXPECT_EQ(TraceId(kTrace), "0af7651916cd43dd8448eb211c80319c");
}

TEST(TraceparentTest, RefusesTheRest) {
  const std::string good = kTrace;
  std::vector<std::string> bad = {"", "00", good.substr(1), good + "0", good + "-more"};
  const auto change = [&](size_t at, const std::string& with) {
    bad.push_back(good.substr(0, at) + with + good.substr(at + with.size()));
  };
  change(0, "ff");
  change(0, "0G");
  change(2, "_");
  change(35, "_");
  change(52, "_");
  change(3, std::string(32, '0'));
  change(36, std::string(16, '0'));
  change(10, "A");
  change(54, "x");
  for (const std::string& text : bad) EXPECT_FALSE(IsTraceparent(text)) << text;
  EXPECT_EQ(TraceId(""), "");
}

}  // namespace
}  // namespace facet
