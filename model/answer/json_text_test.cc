#include "model/answer/json_text.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

TEST(JsonTextTest, EscapesEveryAsciiCharacterAsTheJsonLibraryReadsIt) {
  std::string text;
  for (int c = 0; c < 128; ++c) text.push_back(static_cast<char>(c));
  text += "\u00E9\U0001F600";
  EXPECT_EQ(nlohmann::json::parse(JsonString(text)).get<std::string>(), text);
  std::string pieces;
  for (const char c : text) AppendJsonEscaped(absl::string_view(&c, 1), &pieces);
  EXPECT_EQ(absl::StrCat("\"", pieces, "\""), JsonString(text));
}

TEST(JsonTextTest, NumbersFollowTheLetterOfJson) {
  for (const char* text : {"0", "-0", "7", "42", "-15", "123456789012345678901234567890"}) {
    EXPECT_EQ(JsonNumberKind(text), NumberKind::kInteger) << text;
  }
  for (const char* text : {"1.50", "-0.0", "1e3", "1E-07", "-1.5e+3", "0e0"}) {
    EXPECT_EQ(JsonNumberKind(text), NumberKind::kReal) << text;
  }
  for (const char* text :
       {"",     "-",   "+1",       "01",   "-01", ".5",  "1.",    "1e",     "1e+", "1.e3",
        "0x10", "NaN", "Infinity", "-inf", "1 2", "1,5", "1e999", "1e-999", "--1", "12a"}) {
    EXPECT_EQ(JsonNumberKind(text), NumberKind::kNone) << text;
  }
}

TEST(JsonTextTest, AsciiQuotesAreRemovedWithOrWithoutSoundEscapes) {
  struct Case {
    const char* text;
    const char* value;  // null: not quoted as a whole
  };
  const Case cases[] = {
      {R"("a")", "a"},           {R"("")", ""},         {R"("a\"b\\")", R"(a"b\)"},
      {R"("\u00e9")", "\u00E9"}, {"\"a\nb\"", "a\nb"},  {R"("\q")", R"(\q)"},
      {R"(")", nullptr},         {R"(a)", nullptr},     {R"("a"b")", nullptr},
      {R"("a\")", nullptr},      {R"("a" b)", nullptr},
  };
  for (const Case& c : cases) {
    std::string value;
    EXPECT_EQ(UnquoteAscii(c.text, &value), c.value != nullptr) << c.text;
    EXPECT_EQ(value, c.value != nullptr ? c.value : "") << c.text;
  }
}

}  // namespace
}  // namespace facet
