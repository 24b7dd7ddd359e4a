#include "model/chat/declarations.h"

#include <string>

#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "model/chat/ordered_json.h"

namespace facet {
namespace {

using testing::IsOk;

// With Q for the quote token, to be readable.
std::string Declare(const std::string& parameters) {
  Tool tool;
  tool.name = "f";
  tool.description = "d";
  tool.parameters = OrderedJson::parse(parameters);
  PromptText out;
  const absl::Status status = WriteDeclaration(tool, "tools[0]", out);
  if (!status.ok()) return std::string(status.message());
  std::string text = out.text();
  for (size_t at; (at = text.find("<|\"|>")) != std::string::npos;) text.replace(at, 5, "Q");
  return text;
}

struct DeclarationCase {
  std::string name, parameters, text;
};

const DeclarationCase kCases[] = {
    {"NoParameters", "null", "declaration:f{description:QdQ}"},
    {"EmptyParameters", "{}", "declaration:f{description:QdQ}"},
    {"SortedByLowerCase",
     R"({"type": "object", "properties": {"b": {"type": "string"}, "A": {"type": "integer"}},
         "required": ["b"]})",
     "declaration:f{description:QdQ,parameters:{properties:{A:{type:QINTEGERQ},b:{type:QSTRINGQ}},"
     "required:[QbQ],type:QOBJECTQ}}"},
    {"EnumOfStringsOnly",
     R"({"type": "object", "properties": {"a": {"type": "string", "enum": ["x"]},
                                          "b": {"type": "integer", "enum": [1]}}})",
     "declaration:f{description:QdQ,parameters:{properties:{a:{enum:[QxQ],type:QSTRINGQ},"
     "b:{type:QINTEGERQ}},type:QOBJECTQ}}"},
    {"ListOfTypes", R"({"type": "object", "properties": {"a": {"type": ["string", "null"]}}})",
     "declaration:f{description:QdQ,parameters:{properties:{a:{type:Q['STRING', 'NULL']Q}},"
     "type:QOBJECTQ}}"},
    {"ItemsQuoteTheirInnerKeys",
     R"({"type": "object", "properties": {"a": {"type": "array", "items": {
         "type": "array", "items": {"k": 1.0}, "format": null}}}})",
     "declaration:f{description:QdQ,parameters:{properties:{a:{items:{items:{QkQ:1.0},"
     "type:QARRAYQ},type:QARRAYQ}},type:QOBJECTQ}}"},
    {"ObjectWithItsPropertiesAmongItsKeys",
     R"({"type": "object", "properties": {"a": {"type": "object", "description": "o",
         "x": {"type": "string"}, "nullable": true}}})",
     "declaration:f{description:QdQ,parameters:{properties:{a:{description:QoQ,nullable:true,"
     "properties:{x:{type:QSTRINGQ}},type:QOBJECTQ}},type:QOBJECTQ}}"},
    {"PropertiesThatAreAList", R"({"type": "object", "properties": [1]})",
     "tools[0].parameters.properties: a list of 1 values where an object is expected"},
    {"ParametersThatAreText", R"("x")",
     "tools[0].parameters: \"x\" where a JSON Schema object is expected"},
    {"TypeThatIsANumber", R"({"properties": {"a": {"type": 3}}})",
     "tools[0].parameters.properties.a.type: 3 where a type's name or a list of them is expected"},
    {"DescriptionThatIsAList",
     R"({"properties": {"a": {"type": "object", "properties": {"b": {"description": [1]}}}}})",
     "tools[0].parameters.properties.a.properties.b.description: a list of 1 values where a string "
     "is expected"},
    {"RequiredThatIsTrue", R"({"type": "object", "required": true})",
     "tools[0].parameters.required: true where a list of names is expected"},
    {"RequiredOfItemsWithANumber",
     R"({"properties": {"a": {"type": "array", "items": {"required": [1]}}}})",
     "tools[0].parameters.properties.a.items.required: 1 where a name is expected"},
};

class DeclarationsTest : public ::testing::TestWithParam<DeclarationCase> {};

TEST_P(DeclarationsTest, WritesOrNamesThePlace) {
  EXPECT_EQ(Declare(GetParam().parameters), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(Cases, DeclarationsTest, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

TEST(DeclarationRangesTest, WhatTheCallerWroteIsMarked) {
  Tool tool;
  tool.name = "f";
  tool.description = "<tool|>";
  PromptText out;
  ASSERT_THAT(WriteDeclaration(tool, "tools[0]", out), IsOk());
  ASSERT_EQ(out.caller_ranges().size(), 2u);
  const auto [begin, end] = out.caller_ranges()[1];
  EXPECT_EQ(out.text().substr(begin, end - begin), "<tool|>");
}

}  // namespace
}  // namespace facet
