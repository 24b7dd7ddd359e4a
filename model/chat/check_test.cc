#include "model/chat/check.h"

#include <string>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/chat/conversation_json.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

constexpr char kCall[] =
    R"({"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f"}}]})";

struct CheckCase {
  std::string name;
  std::string messages, tools;
  std::string error;  // a part of it
};

std::string Messages(const std::string& rest) {
  return R"([{"role": "user", "content": "Go"}, )" + rest + "]";
}

const CheckCase kCheckCases[] = {
    {"NoMessages", "[]", "[]", "messages: empty"},
    {"ReasoningOfAUser", R"([{"role": "user", "content": "a", "reasoning": "b"}])", "[]",
     "messages[0].reasoning: is for role assistant only, not user"},
    {"CallOfAUser", R"([{"role": "user", "tool_calls": [{"function": {"name": "f"}}]}])", "[]",
     "messages[0].tool_calls: is for role assistant only"},
    {"CallIdOfAUser", R"([{"role": "user", "tool_call_id": "1"}])", "[]",
     "messages[0].tool_call_id: is for role tool only"},
    {"ImageInTheSystemMessage", R"([{"role": "system", "content": [{"type": "image"}]}])", "[]",
     "messages[0].content[0]: only text"},
    {"ResultWithoutACall", Messages(R"({"role": "tool", "content": "r"})"), "[]",
     "messages[1]: a tool result that follows no assistant message with tool_calls"},
    {"ResultOfAnotherCall",
     Messages(std::string(kCall) + R"(, {"role": "tool", "tool_call_id": "2", "content": "r"})"),
     "[]", "messages[2].tool_call_id: \"2\" is the id of none"},
    {"ResultBesideResponses",
     Messages(R"({"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f"}}],
                  "tool_responses": [{"name": "f", "response": 1}]},
                 {"role": "tool", "tool_call_id": "1", "content": "r"})"),
     "[]", "messages[2]: a tool result behind a message that has tool_responses"},
    {"PendingCall", Messages(kCall), "[]",
     "messages[1].tool_calls: the conversation ends in calls without a result"},
    {"ArgumentsThatAreAList", Messages(R"({"role": "assistant", "tool_calls": [
                  {"function": {"name": "f", "arguments": [1]}}]})"),
     "[]", "messages[1].tool_calls[0].arguments: a list of 1 values where an object is expected"},
    {"NameOfACallWithABrace",
     Messages(R"({"role": "assistant", "tool_calls": [{"function": {"name": "f{"}}]})"), "[]",
     "messages[1].tool_calls[0].name: \"f{\""},
    {"NameOfATool", Messages(R"({"role": "user", "content": ""})"),
     R"([{"type": "function", "function": {"name": "a b"}}])", "tools[0].name: \"a b\""},
    {"ToolTwice", Messages(R"({"role": "user", "content": ""})"),
     R"([{"function": {"name": "a"}}, {"function": {"name": "a"}}])",
     "tools[1].name: \"a\" is declared twice"},
};

class CheckTest : public ::testing::TestWithParam<CheckCase> {};

TEST_P(CheckTest, NamesWhatIsWrong) {
  const auto conversation = ParseConversation(R"({"messages": )" + GetParam().messages +
                                              R"(, "tools": )" + GetParam().tools + "}");
  ASSERT_THAT(conversation, IsOk());
  EXPECT_THAT(CheckConversation(*conversation),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().error)));
}

INSTANTIATE_TEST_SUITE_P(Cases, CheckTest, ::testing::ValuesIn(kCheckCases),
                         [](const auto& info) { return info.param.name; });

TEST(CheckTextTest, TextMustBeUtf8) {
  Conversation conversation;
  conversation.messages.emplace_back().content.emplace_back().text = "ab\xFF";
  EXPECT_THAT(CheckConversation(conversation),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("messages[0].content[0]: not valid UTF-8 at byte offset 2")));
}

TEST(CheckDepthTest, DeepArgumentsAreRefused) {
  OrderedJson deep = OrderedJson::object();
  for (int i = 0; i < 70; ++i) deep = {{"k", deep}};
  Conversation conversation;
  conversation.messages.resize(2);
  conversation.messages[1].role = Role::kAssistant;
  ToolCall& call = conversation.messages[1].tool_calls.emplace_back();
  call.name = "f";
  call.arguments = deep;
  conversation.add_generation_prompt = false;
  EXPECT_THAT(CheckConversation(conversation),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("messages[1].tool_calls[0].arguments: nested deeper than 64")));
}

TEST(CheckEndTest, APendingCallIsSoundWhereNothingIsToBeGenerated) {
  auto conversation = ParseConversation(R"({"messages": )" + Messages(kCall) + "}");
  ASSERT_THAT(conversation, IsOk());
  conversation->add_generation_prompt = false;
  EXPECT_THAT(CheckConversation(*conversation), IsOk());
}

}  // namespace
}  // namespace facet
