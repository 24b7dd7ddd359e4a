#include "model/answer/argument_schema.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using Json = ArgumentSchema::Json;

TEST(ArgumentSchemaTest, KnowsTheTypesOfAValue) {
  struct Case {
    const char* schema;
    JsonTypes types;
  };
  const Case cases[] = {
      {R"({})", kAnyType},
      {R"(true)", kAnyType},
      {R"({"type": "string"})", kStringType},
      {R"({"type": "STRING"})", kStringType},
      {R"({"type": "number"})", kNumberType | kIntegerType},
      {R"({"type": "integer"})", kIntegerType},
      {R"({"type": "word"})", kAnyType},
      {R"({"type": 5})", kAnyType},
      {R"({"type": ["boolean", "null"]})", kBooleanType | kNullType},
      {R"({"type": "string", "nullable": true})", kStringType | kNullType},
      {R"({"enum": ["a", 1]})", kStringType | kNumberType | kIntegerType},
      {R"({"enum": [null, true]})", kNullType | kBooleanType},
      {R"({"const": []})", kArrayType},
      {R"({"anyOf": [{"type": "integer"}, {"type": "null"}]})", kIntegerType | kNullType},
      {R"({"oneOf": [{"type": "object"}, {}]})", kAnyType},
      {R"({"allOf": [{"type": ["string", "null"]}, {"type": "string"}]})", kStringType},
      {R"({"$ref": "#/d/x~1y~0", "d": {"x/y~": {"type": "array"}}})", kArrayType},
      {R"({"$ref": "#/nowhere"})", kAnyType},
      {R"({"$ref": "http://elsewhere/x"})", kAnyType},
      {R"({"$ref": "#"})", kAnyType},
  };
  for (const Case& c : cases) {
    const Json schema = Json::parse(c.schema);
    EXPECT_EQ(ArgumentSchema(&schema).Types(), c.types)
        << absl::StrCat(c.schema, " wants ", c.types);
  }
  EXPECT_EQ(ArgumentSchema().Types(), kAnyType);
}

TEST(ArgumentSchemaTest, FindsPropertiesAndItemsThroughReferencesAndUnions) {
  const Json schema = Json::parse(R"({
    "properties": {"a": {"type": "array", "items": {"$ref": "#/$defs/i"}},
                   "o": {"anyOf": [{"type": "null"}, {"properties": {"p": {"type": "boolean"}}}]}},
    "additionalProperties": {"type": "number"},
    "$defs": {"i": {"type": "integer"}}})");
  const ArgumentSchema root(&schema);
  EXPECT_EQ(root.Property("a").Items().Types(), kIntegerType);
  EXPECT_EQ(root.Property("o").Property("p").Types(), kBooleanType);
  EXPECT_EQ(root.Property("o").Property("q").Types(), kAnyType);
  EXPECT_EQ(root.Property("other").Types(), kNumberType | kIntegerType);
  EXPECT_EQ(root.Items().Types(), kAnyType);
  EXPECT_EQ(ArgumentSchema().Property("a").Items().Types(), kAnyType);
}

TEST(ArgumentSchemaTest, ASchemaThatRefersToItselfIsLookedAtInFewSteps) {
  Json schema;
  for (int i = 0; i < 100; ++i) schema["anyOf"].push_back({{"$ref", "#"}});
  const ArgumentSchema root(&schema);  // 100^n branches without a limit
  EXPECT_EQ(root.Types(), kAnyType);
  EXPECT_EQ(root.Property("x").Types(), kAnyType);
}

}  // namespace
}  // namespace facet
