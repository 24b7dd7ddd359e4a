// What is refused and where the message points. That what is accepted is enforced is shown by
// testing:schema_suite_test.

#include "shard/grammar/schema_grammar.h"

#include <random>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "shard/grammar/number_grammar.h"
#include "shard/grammar/pattern_grammar.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Nested(int depth) {
  std::string schema = "{}";
  for (int i = 0; i < depth; ++i) {
    schema = absl::StrCat(R"({"type":"array","items":)", schema, "}");
  }
  return schema;
}

std::string WithProperties(int count) {
  std::vector<std::string> properties;
  for (int i = 0; i < count; ++i) properties.push_back(absl::StrCat("\"p", i, "\":{}"));
  return absl::StrCat(R"({"type":"object","properties":{)", absl::StrJoin(properties, ","), "}}");
}

struct RefusalCase {
  const char* name;
  std::string schema;
  const char* message;
};

class SchemaRefusalTest : public ::testing::TestWithParam<RefusalCase> {};

TEST_P(SchemaRefusalTest, NamesThePlace) {
  EXPECT_THAT(SchemaToGrammar(GetParam().schema, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, StartsWith(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, SchemaRefusalTest,
    ::testing::Values(
        RefusalCase{"NoJson", "{", "/: the schema is not valid JSON"},
        RefusalCase{"NoSchema", "3", "/: must be an object or a boolean"},
        RefusalCase{"BadUtf8", "{\"title\":\"\xFF\"}", "/: the schema is not valid JSON"},
        RefusalCase{"TooDeep", Nested(80), "/items/items/"},
        RefusalCase{"FarTooDeep", Nested(5000), "/: the schema is nested too deep"},
        RefusalCase{"TooManyMembers", WithProperties(2001),
                    "/: an object of the schema has 2001 members; the limit is 2000"},
        RefusalCase{"TooLong", std::string(300 << 10, ' '), "/: the schema has 307200 bytes"},
        RefusalCase{"AllOf", R"({"properties":{"a":{"allOf":[{"pattern":"a"},{"pattern":"b"}]}}})",
                    "/properties/a/allOf: two different values of pattern cannot be merged"},
        RefusalCase{"AllOfNothing", R"({"allOf":[{"type":"string"},{"type":"null"}]})",
                    "/: no value satisfies"},
        RefusalCase{"RefIntoItself", R"({"allOf":[{"$ref":"#"}],"minLength":1})", "/allOf"},
        RefusalCase{"GrowingRef",
                    R"({"properties":{"a":{"$ref":"#","minProperties":0},"b":{"$ref":"#",)"
                    R"("maxProperties":9}}})",
                    "/"},
        RefusalCase{"BesideAnEnum", R"({"enum":["a"],"minLength":1})",
                    "/minLength: not supported beside enum"},
        RefusalCase{"TwoLengths", R"({"type":"string","pattern":"^a*b*$","maxLength":3})",
                    "/pattern: "},
        RefusalCase{"NoLength", R"({"type":"string","pattern":"^abc$","maxLength":2})",
                    "/pattern: pattern: it matches no text"},
        RefusalCase{"HugeNumber", R"({"const":123456789012345678901234})", "/const: "}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(SchemaGrammarTest, ToolParametersMustBeAnObject) {
  const SchemaGrammarOptions call = {
      .syntax = ValueSyntax::kCall, .tokens = {1, 2, 3}, .root_is_object = true};
  EXPECT_THAT(SchemaToGrammar(R"({"type":"string"})", call),
              StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("/type: ")));
  EXPECT_THAT(SchemaToGrammar(R"({"$ref":"#/$defs/a","$defs":{"a":{"type":"object"}}})", call),
              IsOk());
}

struct WideningCase {
  const char* name;
  const char* schema;
  std::vector<std::string> notes;      // the beginnings
  std::vector<const char*> kept = {};  // of the rules
};

class WideningTest : public ::testing::TestWithParam<WideningCase> {};

TEST_P(WideningTest, LeavesOutWhatCannotBeEnforcedAndSaysSo) {
  const SchemaGrammarOptions call = {
      .syntax = ValueSyntax::kCall, .tokens = {1, 2, 3}, .root_is_object = true, .widen = true};
  const auto grammar = SchemaToGrammar(GetParam().schema, call);
  ASSERT_THAT(grammar, IsOk());
  ASSERT_EQ(grammar->not_enforced.size(), GetParam().notes.size())
      << absl::StrJoin(grammar->not_enforced, "\n");
  for (size_t i = 0; i < GetParam().notes.size(); ++i) {
    EXPECT_THAT(grammar->not_enforced[i], StartsWith(GetParam().notes[i]));
  }
  for (const char* text : GetParam().kept) EXPECT_THAT(grammar->rules, HasSubstr(text));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, WideningTest,
    ::testing::Values(
        WideningCase{"NothingToLeaveOut",
                     R"({"type":"object","properties":{"a":{"type":"string","maxLength":3}}})",
                     {},
                     {"{0,3}"}},
        WideningCase{"AFormat",
                     R"({"type":"object","properties":{"a":{"type":"string","format":"regex"},
                        "b":{"type":"integer"}},"required":["b"]})",
                     {"/properties/a/format: this format"},
                     {"\"b\"", "[1-9]"}},
        WideningCase{"OneKeywordOfTwo",
                     R"({"type":"object","properties":{"a":{"type":"array","items":{"type":
                        "string","maxLength":7},"uniqueItems":true,"maxItems":9}}})",
                     {"/properties/a/uniqueItems: "},
                     {"{0,7}", "{0,8}"}},
        WideningCase{"TwoKeywords",
                     R"({"type":"object","not":{"required":["a"]},"if":{},"properties":{"a":{}}})",
                     {"/not: ", "/if: "},
                     {"\"a\""}},
        WideningCase{"APatternAndALength",
                     R"({"type":"object","properties":{"a":{"pattern":"^a*b*$","maxLength":7}}})",
                     {"/properties/a/pattern: "},
                     {"{0,7}"}},
        WideningCase{"AForeignReference",
                     R"({"type":"object","properties":{"a":{"$ref":"https://x/y"}}})",
                     {"/properties/a/$ref: only references within"}},
        WideningCase{"AlternativesThatOverlap",
                     R"({"type":"object","properties":{"a":{"oneOf":[{"type":"string"},{}]}}})",
                     {"/properties/a/oneOf: branches 0 and 1"}},
        WideningCase{"InADefinition",
                     R"({"type":"object","properties":{"a":{"$ref":"#/$defs/x"},"b":{"$ref":
                        "#/$defs/x"}},"$defs":{"x":{"type":"string","contentSchema":{},"not":{}}}})",
                     {"/$defs/x/not: "}},
        WideningCase{"AListAsPatternProperties",
                     R"({"type":"object","patternProperties":{"^a":{}},"additionalProperties":
                        {"type":"null"}})",
                     {"/patternProperties: "}},
        WideningCase{"NoFiniteValue",
                     R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})",
                     {"/: no finite value"}},
        WideningCase{"NoObject", R"({"type":"string"})", {"/type: must be \"object\""}},
        WideningCase{"ABadType",
                     R"({"type":"object","properties":{"a":{"type":"text"}}})",
                     {"/properties/a/type: must be a type"}}),
    [](const auto& info) { return std::string(info.param.name); });

// Each level fails after what is below it, and again when it is tried without a keyword.
TEST(SchemaGrammarTest, WideningADeepSchemaTakesNoTimeThatGrowsWithEachLevel) {
  std::string schema = R"({"type":"string","not":{}})";
  for (int i = 0; i < 30; ++i) {
    schema =
        absl::StrCat(R"({"type":"object","not":{},"minProperties":9,"if":{},"properties":{"a":)",
                     schema, R"(,"b":{"type":"array","uniqueItems":true,"contains":{},"items":)",
                     i == 0 ? "{}" : R"({"allOf":[{"$ref":"#"},{"not":{}}]})", "}}}");
  }
  const auto grammar = SchemaToGrammar(schema, {.root_is_object = true, .widen = true});
  ASSERT_THAT(grammar, IsOk());
  EXPECT_GE(grammar->not_enforced.size(), 90u);
}

TEST(SchemaGrammarTest, AllOfManyLargeSchemasIsRefusedInTime) {
  std::string branches;
  for (int i = 0; i < 1500; ++i) {
    absl::StrAppend(&branches, i == 0 ? "" : ",", R"({"properties":{"p)", i,
                    R"(":{"minLength":1}}})");
  }
  EXPECT_THAT(SchemaToGrammar(absl::StrCat(R"({"type":"object","allOf":[)", branches, "]}"), {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("schemas to merge")));
}

TEST(SchemaGrammarTest, WideningKeepsRefusingWhatIsNoJson) {
  EXPECT_THAT(SchemaToGrammar("{", {.root_is_object = true, .widen = true}),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(NumberGrammarTest, HoldsExactlyTheIntegersOfARange) {
  std::mt19937 rng(8);
  for (int round = 0; round < 60; ++round) {
    const int64_t a = static_cast<int64_t>(rng() % 2400) - 1200;
    const int64_t b = a + static_cast<int64_t>(rng() % 1500);
    // The expressions are regular expressions but for quotes and spaces.
    const std::string ebnf = IntegerEbnf({a, b});
    const std::regex regex(std::regex_replace(ebnf, std::regex("[\" ]"), ""));
    for (int64_t n = -1300; n <= 2800; n += 1 + static_cast<int64_t>(rng() % 3)) {
      ASSERT_EQ(std::regex_match(absl::StrCat(n), regex), a <= n && n <= b)
          << n << " in " << a << ".." << b << ": " << ebnf;
    }
    for (const char* text : {"-0", "00", "007", "+1", ""}) {
      ASSERT_FALSE(std::regex_match(text, regex)) << ebnf;
    }
  }
}

struct PatternCase {
  const char* pattern;
  const char* message;
};

TEST(PatternGrammarTest, RefusesWhatItDoesNotKnowWithTheByte) {
  constexpr PatternCase kCases[] = {
      {"(?=a)", "look-around and named groups are unsupported at byte 0"},
      {"a(?<n>b)", "named groups"},
      {"a\\b", "unsupported escape \\b at byte 2"},
      {"(a)\\1", "unsupported escape \\1"},
      {"a^b", "an anchor in the middle is unsupported at byte 1"},
      {"$a", "text after $"},
      {"(a", "missing )"},
      {"a)", "unmatched )"},
      {"[z-a]", "a range that is none"},
      {"[a", "missing ]"},
      {"*a", "unescaped *"},
      {"a**", "repeated quantifier"},
      {"a{3,2}", "wrong order"},
      {"(a{1000}){1000}", "repetitions too large"},
      {"a{99999999999999999999}", "expected a number"},
      {"[^\\d\\D]", "a class without any character"},
  };
  for (const PatternCase& c : kCases) {
    EXPECT_THAT(PatternToEbnf(c.pattern, {}),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(c.message)))
        << c.pattern;
  }
  EXPECT_THAT(PatternToEbnf(std::string(100, '('), {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("too deep")));
}

}  // namespace
}  // namespace facet
