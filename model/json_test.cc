#include "model/json.h"

#include <sys/stat.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/testing/safetensors_writer.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::MakeTestDir;
using ::facet::testing::StatusIs;
using ::facet::testing::WriteFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Nested(int depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(ParseJsonTest, AcceptsWhatIsWithinTheLimits) {
  const JsonLimits limits = {.max_bytes = 20, .max_depth = 3};
  EXPECT_THAT(ParseJson(R"({"a": [[1]], "b": 2})", limits), IsOk());
  EXPECT_THAT(ParseJson(Nested(3), limits), IsOk());
  EXPECT_THAT(ParseJson(R"(["[[[[", "\"[[[["])", limits), IsOk());  // brackets in strings
}

struct BadJsonCase {
  std::string name;
  std::string text;
  std::string message;
};
class ParseBadJsonTest : public ::testing::TestWithParam<BadJsonCase> {};

TEST_P(ParseBadJsonTest, Refuses) {
  EXPECT_THAT(ParseJson(GetParam().text, {.max_bytes = 100'000, .max_depth = 32}),
              StatusIs(kInvalid, HasSubstr(GetParam().message)));
}
INSTANTIATE_TEST_SUITE_P(
    Texts, ParseBadJsonTest,
    ::testing::ValuesIn(std::vector<BadJsonCase>{
        {"empty", "", "not valid JSON"},
        {"cut_short", R"({"a": 1)", "not valid JSON"},
        {"two_values", "1 2", "not valid JSON"},
        {"comment", "{} // x", "not valid JSON"},
        {"nan", R"({"a": NaN})", "not valid JSON"},
        {"number_beyond_double", R"({"a": 1e999})", "not valid JSON"},
        {"bad_utf8", "{\"a\": \"\xff\"}", "not valid JSON"},
        {"nul_byte", std::string("{}\0", 3), "not valid JSON"},
        {"too_deep", Nested(33), "nested deeper than 32"},
        {"unclosed_and_too_deep", std::string(90'000, '['), "nested deeper than 32"},
        {"too_long", std::string(100'001, ' '), "100001 bytes, at most 100000"},
        {"duplicate_key", R"({"a": 1, "b": {}, "a": 1})", R"("a" occurs twice)"},
        {"inner_duplicate_key", R"([{"b": {"a": 1, "\u0061": 2}}])", R"("a" occurs twice)"},
    }),
    [](const auto& info) { return info.param.name; });

TEST(ShapeOfJsonTest, CountsTheMembersOfTheLargestObject) {
  EXPECT_EQ(ShapeOfJson("[1,2,3]", 9).most_members, 0);
  EXPECT_EQ(ShapeOfJson(R"({"a":1,"b:,{":[1,2,3,4],"c":{"d":"\":"}})", 9).most_members, 3);
  EXPECT_EQ(ShapeOfJson(R"([{"a":1},{"a":1,"b":2}])", 9).most_members, 2);
  EXPECT_FALSE(ShapeOfJson("[[]]", 2).too_deep);
  EXPECT_TRUE(ShapeOfJson("[[[]]]", 2).too_deep);
  EXPECT_EQ(ShapeOfJson("]}:,[", 2).most_members, 0);  // no JSON
}

TEST(ParseJsonTest, AllowsOneKeyInSeveralObjects) {
  EXPECT_THAT(ParseJson(R"({"a": {"a": [{"a": 1}, {"a": 2}]}})"), IsOk());
}

class JsonObjectTest : public ::testing::Test {
 protected:
  JsonObject Read(const std::string& text) {
    value_ = nlohmann::json::parse(text);
    return JsonObject(value_, error_);
  }
  nlohmann::json value_;
  absl::Status error_;
};

TEST_F(JsonObjectTest, ReadsMembersOfEveryType) {
  const JsonObject in = Read(R"({"i": -3, "d": 2, "b": true, "s": "x", "n": null,
                                 "o": {"p": {"i": 5}}})");
  EXPECT_EQ(in.Int("i", -5, 5), -3);
  EXPECT_EQ(in.Double("d", 0, 5), 2.0);
  EXPECT_TRUE(in.Bool("b", false));
  EXPECT_EQ(in.String("s"), "x");
  EXPECT_EQ(in.Object("o").Object("p").Int("i", 0, 9), 5);
  EXPECT_THAT(error_, IsOk());
}

TEST_F(JsonObjectTest, TakesNullAndAbsentMembersForTheDefault) {
  const JsonObject in = Read(R"({"n": null})");
  for (const char* key : {"n", "absent"}) {
    EXPECT_FALSE(in.Has(key));
    EXPECT_EQ(in.Int(key, 0, 9, 7), 7);
    EXPECT_EQ(in.Double(key, 0, 9, 0.5), 0.5);
    EXPECT_TRUE(in.Bool(key, true));
    EXPECT_EQ(in.String(key, "y"), "y");
    EXPECT_EQ(in.TokenId(key, 100), std::nullopt);
    EXPECT_THAT(in.TokenIds(key, 100, 10), ElementsAre());
  }
  EXPECT_TRUE(in.HasKey("n"));
  EXPECT_FALSE(in.HasKey("absent"));
  EXPECT_THAT(error_, IsOk());
}

struct BadMemberCase {
  std::string name;
  std::string value;  // of the member "k" in the object "outer"
  std::string message;
};
class JsonIntTest : public ::testing::TestWithParam<BadMemberCase> {};

TEST_P(JsonIntTest, RefusesWhatIsNoIntegerInRange) {
  absl::Status error;
  const nlohmann::json value =
      nlohmann::json::parse(absl::StrCat(R"({"outer": {"k": )", GetParam().value, "}}"));
  EXPECT_EQ(JsonObject(value, error).Object("outer").Int("k", 1, 64), 1);
  EXPECT_THAT(error, StatusIs(kInvalid, "outer.k: " + GetParam().message));
}
const char kExpected[] = " where an integer from 1 to 64 is expected";
INSTANTIATE_TEST_SUITE_P(
    Values, JsonIntTest,
    ::testing::ValuesIn(std::vector<BadMemberCase>{
        {"zero", "0", absl::StrCat("0", kExpected)},
        {"above", "65", absl::StrCat("65", kExpected)},
        {"negative", "-1", absl::StrCat("-1", kExpected)},
        {"int32_wraps_to_1", "4294967297", absl::StrCat("4294967297", kExpected)},
        {"int64_max", "9223372036854775807", absl::StrCat("9223372036854775807", kExpected)},
        {"uint64_max", "18446744073709551615", absl::StrCat("18446744073709551615", kExpected)},
        {"int64_min", "-9223372036854775808", absl::StrCat("-9223372036854775808", kExpected)},
        {"fraction", "1.5", absl::StrCat("1.5", kExpected)},
        {"whole_fraction", "2.0", absl::StrCat("2.0", kExpected)},
        {"text", "\"2\"", absl::StrCat("\"2\"", kExpected)},
        {"truth", "true", absl::StrCat("true", kExpected)},
        {"list", "[2]", absl::StrCat("a list of 1 values", kExpected)},
        {"null", "null", "missing"},
    }),
    [](const auto& info) { return info.param.name; });

TEST_F(JsonObjectTest, DoesNotTakeAHugeIntegerForANegativeOne) {
  EXPECT_EQ(Read(R"({"i": 18446744073709551615})").Int("i", -5, 5), -5);
  EXPECT_THAT(error_, StatusIs(kInvalid, HasSubstr("i: 18446744073709551615 where")));
}

TEST_F(JsonObjectTest, KeepsTheFirstErrorOnly) {
  const JsonObject in = Read(R"({"a": "x", "b": "y"})");
  in.Bool("a", false);
  in.Double("b", 0, 1);
  in.Object("a");
  EXPECT_THAT(error_, StatusIs(kInvalid, R"(a: "x" where true or false is expected)"));
}

TEST_F(JsonObjectTest, RefusesNumbersOutsideOfARange) {
  const JsonObject in = Read(R"({"d": 1.5})");
  EXPECT_EQ(in.Double("d", 0, 1), 0.0);
  EXPECT_THAT(error_, StatusIs(kInvalid, "d: 1.5 where a number from 0 to 1 is expected"));
}

TEST_F(JsonObjectTest, RefusesAMemberThatIsNoObject) {
  EXPECT_EQ(Read(R"({"o": [1, 2]})").Object("o").Int("x", 0, 9, 3), 3);
  EXPECT_THAT(error_, StatusIs(kInvalid, "o: a list of 2 values where an object is expected"));
}

TEST_F(JsonObjectTest, RefusesADocumentThatIsNoObject) {
  Read("[1]");
  EXPECT_THAT(error_, StatusIs(kInvalid, "a list of 1 values where an object is expected"));
}

TEST_F(JsonObjectTest, RefusesKeysThatAreNotListed) {
  const JsonObject in = Read(R"({"a": 1, "b": 2})");
  in.AllowOnly({"a", "b", "c"});
  EXPECT_THAT(error_, IsOk());
  in.AllowOnly({"a"});
  EXPECT_THAT(error_, StatusIs(kInvalid, HasSubstr("\"b\": is not supported")));
}

TEST_F(JsonObjectTest, SortsTokenIdsAndDropsThoseBeyondTheVocabulary) {
  const JsonObject in = Read(R"({"one": 5, "many": [106, 1, 50, 1, 100], "large": 258880})");
  EXPECT_THAT(in.TokenIds("one", 100, 10), ElementsAre(5));
  EXPECT_THAT(in.TokenIds("many", 100, 10), ElementsAre(1, 50));
  EXPECT_EQ(in.TokenId("one", 100), 5);
  EXPECT_EQ(in.TokenId("large", 100), std::nullopt);
  EXPECT_THAT(error_, IsOk());
  in.TokenIds("many", 100, 4);
  EXPECT_THAT(error_, StatusIs(kInvalid, HasSubstr("many: a list of 5 values, at most 4")));
}

TEST_F(JsonObjectTest, RefusesNegativeTokenIds) {
  EXPECT_EQ(Read(R"({"id": -1})").TokenId("id", 100), 0);
  EXPECT_THAT(error_, StatusIs(kInvalid, HasSubstr("id: -1 where")));
}

TEST(ExcerptTest, StaysShortAndPrintable) {
  EXPECT_EQ(Excerpt(std::string(1000, 'a')), "\"" + std::string(60, 'a') + "\"...");
  EXPECT_EQ(Excerpt("a\nb\x01\xff"), "\"a\\nb\\u0001\\ufffd\"");
  EXPECT_EQ(Excerpt(nlohmann::json::object()), "an object of 0 members");
}

TEST(ReadFileTest, ReadsARegularFileUpToItsLimit) {
  const std::string path = MakeTestDir() + "/file";
  WriteFile(path, "12345");
  EXPECT_EQ(*ReadFile(path, 5), "12345");
  EXPECT_THAT(ReadFile(path, 4), StatusIs(kInvalid, path + ": 5 bytes, at most 4 are accepted"));
}

TEST(ReadFileTest, RefusesWhatIsNoRegularFileWithoutWaiting) {
  const std::string dir = MakeTestDir();
  ASSERT_EQ(mkfifo((dir + "/pipe").c_str(), 0600), 0);
  EXPECT_THAT(ReadFile(dir + "/pipe", 10), StatusIs(kInvalid, HasSubstr("regular file")));
  EXPECT_THAT(ReadFile(dir, 10), StatusIs(kInvalid, HasSubstr("regular file")));
  EXPECT_THAT(ReadFile(dir + "/none", 10), StatusIs(absl::StatusCode::kNotFound));
}

TEST(ReadJsonFileTest, NamesTheFile) {
  const std::string path = MakeTestDir() + "/config.json";
  WriteFile(path, "{");
  EXPECT_THAT(ReadJsonFile(path), StatusIs(kInvalid, HasSubstr(path + ": not valid JSON")));
}

}  // namespace
}  // namespace facet
