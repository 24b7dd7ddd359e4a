#include "model/chat/ordered_json.h"

#include <string>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

TEST(OrderedJsonTest, KeepsTheOrderOfMembersAndTheKindOfNumbers) {
  const auto value =
      ParseOrderedJson(R"({"b": [1, 1.0, -0, {"y": null, "x": "\u00e9"}], "a": true})");
  ASSERT_THAT(value, IsOk());
  EXPECT_EQ(value->dump(), "{\"b\":[1,1.0,0,{\"y\":null,\"x\":\"\xC3\xA9\"}],\"a\":true}");
  EXPECT_TRUE((*value)["b"][0].is_number_integer());
  EXPECT_TRUE((*value)["b"][1].is_number_float());
}

TEST(OrderedJsonTest, KeepsTheDigitsOfAnIntegerBeyond64Bits) {
  const std::string digits = "-123456789012345678901234567890";
  const auto value = ParseOrderedJson(digits);
  ASSERT_THAT(value, IsOk());
  ASSERT_TRUE(value->is_binary());
  EXPECT_EQ(value->get_binary().subtype(), kBigIntegerSubtype);
  EXPECT_EQ(std::string(value->get_binary().begin(), value->get_binary().end()), digits);
  EXPECT_EQ(Excerpt(*value), digits);
  EXPECT_TRUE(ParseOrderedJson("18446744073709551615")->is_number_unsigned());
}

struct ErrorCase {
  std::string text, error;
};

TEST(OrderedJsonTest, RefusesWhatIsNotSound) {
  const ErrorCase rows[] = {{"", "not valid JSON"},
                            {"{\"a\": 1,}", "not valid JSON"},
                            {"[1] 2", "not valid JSON"},
                            {"NaN", "not valid JSON"},
                            {"1e999", "not valid JSON"},
                            {"\"\xFF\"", "not valid JSON"},
                            {"\"\\ud800\"", "not valid JSON"},
                            {std::string("1\0", 2), "zero byte"},
                            {"{\"a\": {\"b\": 1, \"b\": 2}}", "JSON key \"b\" occurs twice"},
                            {"[[[[1]]]]", "nested deeper than 3 levels"},
                            {std::string(101, ' '), "JSON of 101 bytes, at most 100"}};
  for (const auto& [text, error] : rows) {
    EXPECT_THAT(ParseOrderedJson(text, {.max_bytes = 100, .max_depth = 3}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(error)))
        << text;
  }
  EXPECT_THAT(ParseOrderedJson("[[[1]]]", {.max_bytes = 100, .max_depth = 3}), IsOk());
}

TEST(OrderedJsonTest, EqualKeysInDifferentObjectsAreFine) {
  EXPECT_THAT(ParseOrderedJson(R"([{"a": 1}, {"a": {"a": 2}}, {"a": 3}])"), IsOk());
}

TEST(FindMemberTest, NullCountsAsAbsent) {
  const OrderedJson object = {{"a", 1}, {"b", nullptr}};
  EXPECT_EQ(*FindMember(object, "a"), 1);
  EXPECT_EQ(FindMember(object, "b"), nullptr);
  EXPECT_EQ(FindMember(object, "c"), nullptr);
  EXPECT_EQ(FindMember(OrderedJson::array({1}), "a"), nullptr);
}

}  // namespace
}  // namespace facet
