#include "model/answer/argument_value.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

struct ValueCase {
  const char* text;
  JsonTypes types;
  const char* json;
};

TEST(ArgumentValueTest, ABareTextIsWhatItSpellsUnlessTheSchemaWantsAString) {
  const ValueCase cases[] = {
      {"celsius", kAnyType, R"("celsius")"},
      {"1.50", kAnyType, "1.50"},
      {"true", kAnyType, "true"},
      {"null", kAnyType, "null"},
      {"True", kAnyType, R"("True")"},
      {"01", kAnyType, R"("01")"},
      {R"("1")", kAnyType, R"("1")"},
      {"42", kStringType, R"("42")"},
      {"true", kStringType, R"("true")"},
      {"null", kStringType, "null"},
      {"42", kStringType | kIntegerType, "42"},
      {"4.5", kStringType | kIntegerType, R"("4.5")"},
      {"4.5", kIntegerType, "4.5"},  // as wrong as the model made it
      {"True", kBooleanType, "true"},
      {"None", kIntegerType | kNullType, "null"},
      {"word", kIntegerType, R"("word")"},
      {R"("7")", kIntegerType, "7"},
  };
  for (const ValueCase& c : cases)
    EXPECT_EQ(BareValue(c.text, c.types), c.json) << absl::StrCat(c.text, " as ", c.types);
}

TEST(ArgumentValueTest, AQuotedTextStaysAStringWhereOneMayStand) {
  const ValueCase cases[] = {
      {"42", kAnyType, R"("42")"},
      {"42", kStringType | kNullType, R"("42")"},
      {"42", kIntegerType, "42"},
      {"42.5", kIntegerType, R"("42.5")"},
      {"42.50", kNumberType | kIntegerType, "42.50"},
      {"+5", kNumberType | kIntegerType, R"("+5")"},
      {"false", kBooleanType, "false"},
      {"null", kIntegerType | kNullType, "null"},
      {"null", kIntegerType, R"("null")"},
      {"a \"b\"", kIntegerType, R"("a \"b\"")"},
      {"", kIntegerType, R"("")"},
  };
  for (const ValueCase& c : cases)
    EXPECT_EQ(QuotedValue(c.text, c.types), c.json) << absl::StrCat(c.text, " as ", c.types);
}

}  // namespace
}  // namespace facet
