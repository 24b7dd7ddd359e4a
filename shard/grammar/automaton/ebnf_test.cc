#include "shard/grammar/automaton/ebnf.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "shard/grammar/automaton/network.h"

namespace facet {
namespace {

using ::facet::testing::IsOk;
using ::facet::testing::StatusIs;
using ::testing::HasSubstr;

std::string Repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

struct BadEbnfCase {
  const char* name;
  std::string ebnf;
  const char* message;
};

class BadEbnfTest : public ::testing::TestWithParam<BadEbnfCase> {};

TEST_P(BadEbnfTest, IsRefusedWithTheReason) {
  EXPECT_THAT(GrammarNetwork::FromEbnf(GetParam().ebnf, kCallersEbnf),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().message)));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadEbnfTest,
    ::testing::Values(
        BadEbnfCase{"Empty", "", "line 1: a rule"}, BadEbnfCase{"NoRule", "\"a\"", "a rule"},
        BadEbnfCase{"NoRoot", "a ::= \"x\"", "no rule is named root"},
        BadEbnfCase{"TwoRoots", "root ::= \"a\"\nroot ::= \"b\"", "line 2: a second rule root"},
        BadEbnfCase{"Undefined", "root ::= \"a\"\n | other", "line 2: rule other is not defined"},
        BadEbnfCase{"Token", "root ::= a\na ::= Token(52)", "line 2: Token is reserved"},
        BadEbnfCase{"TagDispatch", "root ::= TagDispatch((\"a\", root))",
                    "TagDispatch is reserved"},
        BadEbnfCase{"Attributes", "root[temperature=2] ::= \"a\"", "line 1: "},
        BadEbnfCase{"LookAhead", "root ::= \"a\" (= \"b\")", "look-ahead"},
        BadEbnfCase{"NoElement", "root ::= | \"a\"", "an element is expected"},
        BadEbnfCase{"OpenLiteral", "root ::= \"a", "an open literal"},
        BadEbnfCase{"LiteralOverALine", "root ::= \"a\nb\"", "an open literal"},
        BadEbnfCase{"OpenClass", "root ::= [a", "an open class"},
        BadEbnfCase{"OpenGroup", "root ::= (\"a\"", "missing )"},
        BadEbnfCase{"Unmatched", "root ::= \"a\")", "unexpected ')'"},
        BadEbnfCase{"BadEscape", "root ::= \"\\q\"", "unknown escape \\q"},
        BadEbnfCase{"BadHex", "root ::= \"\\u12\"", "hexadecimal"},
        BadEbnfCase{"BadUtf8", "root ::= \"\xFF\"", "invalid UTF-8"},
        BadEbnfCase{"ZeroByte", std::string("root ::= \"a\0\"", 13), "no text holds"},
        BadEbnfCase{"EmptyRange", "root ::= [z-a]", "a range that is none"},
        BadEbnfCase{"Bounds", "root ::= \"a\"{3,2}", "wrong order"},
        BadEbnfCase{"NoBounds", "root ::= \"a\"{,}", "a repetition {2}"},
        BadEbnfCase{"HugeRepetition", "root ::= \"a\"{1,999999}", "at most 10000"},
        BadEbnfCase{"NestedRepetitions", "root ::= ((\"a\"{1000}){1000}){1000}",
                    "more than 500000 states"},
        BadEbnfCase{"RepetitionsOfRules",
                    "root ::= a{9999}\na ::= ([^a]? [^b]? [^c] [^d] [^e] [^f]){9999}",
                    "more than 500000 states"},
        BadEbnfCase{"DeepGroups", "root ::= " + Repeated("(", 5000), "nested too deep"},
        BadEbnfCase{"ManyQuantifiers", "root ::= \"a\"" + Repeated("*", 5000), "in a row"},
        BadEbnfCase{"ManyRules", "root ::= \"a\"\n" + Repeated("b ::= \"a\"\n", 3),
                    "a second rule"},
        BadEbnfCase{"TooLong", std::string(40 << 10, '#'), "the limit is 32768"},
        BadEbnfCase{"OnlyItself", "root ::= root", "no finite text"},
        BadEbnfCase{"Endless", "root ::= \"a\" b\nb ::= \"b\" root", "no finite text"},
        BadEbnfCase{"NoCharacter", "root ::= [^\\x00-\\U0010ffff]", "no finite text"},
        BadEbnfCase{"IndirectRecursion", "root ::= a \"x\" | \"y\"\na ::= root \"z\" | \"w\"",
                    "begins with itself"},
        BadEbnfCase{"RecursionAfterNothing", "root ::= \"a\"? root \"b\" | \"c\"",
                    "rule root begins with itself"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(EbnfTest, ManyRulesAreCounted) {
  std::string ebnf = "root ::= \"a\"\n";
  for (int i = 0; i < 199; ++i) absl::StrAppend(&ebnf, "r", i, " ::= \"a\"\n");
  EXPECT_THAT(GrammarNetwork::FromEbnf(ebnf, kCallersEbnf), IsOk());
  ebnf += "one-more ::= \"a\"\n";
  EXPECT_THAT(GrammarNetwork::FromEbnf(ebnf, kCallersEbnf),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("more than 200 rules")));
}

}  // namespace
}  // namespace facet
