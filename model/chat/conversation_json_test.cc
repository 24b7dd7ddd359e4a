#include "model/chat/conversation_json.h"

#include <string>
#include <tuple>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

TEST(ConversationJsonTest, ReadsAnAgentsRequest) {
  const auto conversation = ParseConversation(R"({
    "model": "m", "temperature": 0.5, "enable_thinking": true, "add_generation_prompt": false,
    "messages": [
      {"role": "user", "name": "eve", "content": [{"type": "text", "text": "a"},
                                                  {"type": "image_url", "image_url": {"url": "u"}}]},
      {"role": "assistant", "content": null, "refusal": null, "reasoning_content": "t",
       "tool_calls": [{"id": "1", "type": "function",
                       "function": {"name": "f", "arguments": "{\"n\": 15.0}"}}]},
      {"role": "tool", "tool_call_id": "1", "name": "f", "content": {"k": 1}}],
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "strict": true,
                                                "parameters": {"type": "object"}}}]})");
  ASSERT_THAT(conversation, IsOk());
  EXPECT_TRUE(conversation->enable_thinking);
  EXPECT_FALSE(conversation->preserve_thinking);
  EXPECT_FALSE(conversation->add_generation_prompt);
  ASSERT_EQ(conversation->messages.size(), 3u);
  const auto& [user, assistant, tool] =
      std::tie(conversation->messages[0], conversation->messages[1], conversation->messages[2]);
  EXPECT_EQ(user.role, Role::kUser);
  EXPECT_FALSE(user.content_is_string);
  ASSERT_EQ(user.content.size(), 2u);
  EXPECT_EQ(user.content[0].text, "a");
  EXPECT_EQ(user.content[1].kind, ContentPart::Kind::kImage);
  EXPECT_EQ(user.name, "");
  EXPECT_EQ(assistant.reasoning, "t");
  EXPECT_TRUE(assistant.content.empty());
  ASSERT_EQ(assistant.tool_calls.size(), 1u);
  EXPECT_EQ(assistant.tool_calls[0].id, "1");
  EXPECT_TRUE(assistant.tool_calls[0].arguments["n"].is_number_float());
  ASSERT_EQ(tool.content.size(), 1u);
  EXPECT_EQ(tool.content[0].kind, ContentPart::Kind::kJson);
  EXPECT_EQ(tool.content[0].json["k"], 1);
  ASSERT_EQ(conversation->tools.size(), 1u);
  EXPECT_EQ(conversation->tools[0].description, "d");
  EXPECT_EQ(conversation->tools[0].parameters["type"], "object");
  EXPECT_FALSE(conversation->tools[0].response.has_value());
}

struct ErrorCase {
  std::string name, request, error;
};

const ErrorCase kErrorCases[] = {
    {"NoObject", "[]", "request: a list of 0 values where an object is expected"},
    {"NoMessages", "{}", "messages: missing"},
    {"MessagesAsText", R"({"messages": "Hi"})", "messages: \"Hi\" where a list is expected"},
    {"UnknownRole", R"({"messages": [{"role": "model", "content": ""}]})",
     "messages[0].role: \"model\" where system, developer, user, assistant or tool"},
    {"NoRole", R"({"messages": [{"content": ""}]})", "messages[0].role: missing"},
    {"ContentAsNumber", R"({"messages": [{"role": "user", "content": 1}]})",
     "messages[0].content: 1 where a string or a list of parts is expected"},
    {"ObjectAsContentOfAUser", R"({"messages": [{"role": "user", "content": {"k": 1}}]})",
     "messages[0].content: an object of 1 members"},
    {"UnknownPart", R"({"messages": [{"role": "user", "content": [{"type": "file"}]}]})",
     "messages[0].content[0].type: \"file\" where text, image"},
    {"PartWithoutText", R"({"messages": [{"role": "user", "content": [{"type": "text"}]}]})",
     "messages[0].content[0].text: missing"},
    {"UnknownMember", R"({"messages": [{"role": "user", "content": "", "audio": {"id": "1"}}]})",
     "messages[0].\"audio\": is not supported here"},
    {"ArgumentsThatAreNoJson",
     R"({"messages": [{"role": "assistant", "tool_calls": [
         {"function": {"name": "f", "arguments": "{a"}}]}]})",
     "messages[0].tool_calls[0].function.arguments: not valid JSON"},
    {"CallOfAnotherType", R"({"messages": [{"role": "assistant", "tool_calls": [
         {"type": "custom", "function": {"name": "f"}}]}]})",
     "messages[0].tool_calls[0].type: \"custom\" where function is expected"},
    {"CallWithoutFunction", R"({"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]})",
     "messages[0].tool_calls[0].function: missing"},
    {"ToolWithoutName", R"({"messages": [], "tools": [{"type": "function", "function": {}}]})",
     "tools[0].function.name: missing"},
    {"ThinkingAsText", R"({"messages": [], "enable_thinking": "yes"})",
     "enable_thinking: \"yes\" where true or false is expected"},
    {"KeyTwice", R"({"messages": [], "messages": []})", "JSON key \"messages\" occurs twice"},
    {"Deep", "{\"messages\": " + std::string(100, '[') + std::string(100, ']') + "}",
     "nested deeper than 80 levels"},
};

class ConversationJsonErrorTest : public ::testing::TestWithParam<ErrorCase> {};

TEST_P(ConversationJsonErrorTest, NamesThePlace) {
  EXPECT_THAT(ParseConversation(GetParam().request),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().error)));
}

INSTANTIATE_TEST_SUITE_P(Cases, ConversationJsonErrorTest, ::testing::ValuesIn(kErrorCases),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace facet
