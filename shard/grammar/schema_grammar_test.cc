// What is refused and where the message points. That what is accepted is enforced is shown by
// testing:schema_suite_test.

#include "shard/grammar/schema_grammar.h"

#include <random>
#include <regex>
#include <string>

#include "absl/strings/str_cat.h"
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
        RefusalCase{"TooLong", std::string(300 << 10, ' '), "/: the schema has 307200 bytes"},
        RefusalCase{"AllOf", R"({"properties":{"a":{"allOf":[{},{}]}}})", "/properties/a/allOf: "},
        RefusalCase{"BesideARef", R"({"$ref":"#/$defs/x","minimum":1,"$defs":{"x":{}}})",
                    "/minimum: not supported beside $ref"},
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
