#include "services/gateway/openai/router_fields.h"

#include <vector>

#include "gtest/gtest.h"

namespace facet {
namespace {

struct FieldCase {
  std::string name;
  std::string message;  // as the router or a shard group writes them
  std::string field;
};
class RouterFieldsTest : public testing::TestWithParam<FieldCase> {};

TEST_P(RouterFieldsTest, TheFieldIsThatOfTheClient) {
  EXPECT_EQ(OpenaiFieldOf(GetParam().message, "messages"), GetParam().field);
}

INSTANTIATE_TEST_SUITE_P(
    Messages, RouterFieldsTest,
    testing::ValuesIn(std::vector<FieldCase>{
        {"sampling", "sampling.temperature is -1; allowed: 0 and above", "temperature"},
        {"logit_bias", "sampling.logit_bias[9]: 101 is too much", "logit_bias[9]"},
        {"token_of_a_bias", "sampling.logit_bias: token id is 9; allowed: 0 to 7", "logit_bias"},
        {"stopping", "stopping.max_tokens is 99 and the prompt has 3 tokens; ..", "max_tokens"},
        {"stop", "stopping.stop[2] has 0 bytes; allowed: 1 to 256", "stop[2]"},
        {"shared", "logprobs is 21; allowed: 0 to 20", "logprobs"},
        {"prompt", "prompt has 900 tokens; the context holds at most 512", "messages"},
        {"token_ids", "prompt.token_ids[3] is 999; allowed: 0 to 511", "messages"},
        {"messages", "messages has 0 entries; allowed: 1 to 10000", "messages"},
        {"messages_and_tools", "messages and tools have 9 bytes; at most 8", "messages"},
        {"role", "messages[1].role: 0; allowed: 1 (SYSTEM)", "messages[1].role"},
        {"medium", "messages[0].content[12].media: the image cannot be read",
         "messages[0].content[12]"},
        {"of_a_medium", "messages[0].content[1].media.max_soft_tokens is 3; allowed: 70",
         "messages[0].content[1]"},
        {"call", "messages[2].tool_calls[0].arguments: not valid JSON",
         "messages[2].tool_calls[0].function.arguments"},
        {"tool", "tools[4].parameters: 7 where the JSON text of an object is expected",
         "tools[4].function.parameters"},
        {"all_tools", "tools has 129 entries; at most 128", "tools"},
        {"schema_of_a_tool", "parameters of tool look: /not: is not supported", "tools"},
        {"tool_choice", "tool_choice.name is 'a'; none of the tools has that name", "tool_choice"},
        {"format", "response_format.json is false; allowed: true, or unset", "response_format"},
        {"schema", "/properties/a/not: is not supported", "response_format.json_schema.schema"},
        {"root_of_a_schema", "/: has no finite value", "response_format.json_schema.schema"},
        {"none", "the prompt has 2 placeholders of IMAGE", ""},
        {"a_word_alone", "request: it is too large", ""},
        {"an_address", "vision encoder at 10.0.0.1:50051: it is busy", ""},
        {"empty", "", ""},
        {"a_path_in_the_message", "no such file: /tmp/x", ""},
    }),
    [](const auto& info) { return info.param.name; });

TEST(RouterFieldsTest, APromptIsWhatTheCallMakesItOf) {
  EXPECT_EQ(OpenaiFieldOf("prompt.text is empty; give text", "prompt"), "prompt");
}

}  // namespace
}  // namespace facet
