#include "services/client/chat_request.h"

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

TEST(ChatRequestTest, AWholeRoundIsTaken) {
  v1::ChatRequest request;
  ASSERT_THAT(AddMessages(R"({"messages": [
      {"role": "system", "content": "Be brief."},
      {"role": "user", "content": [{"type": "text", "text": "Weather"}, {"type": "text", "text": "?"}]},
      {"role": "assistant", "content": null, "reasoning": "hm", "tool_calls": [
          {"id": "c1", "type": "function", "function": {"name": "w", "arguments": "{\"t\": 1.0}"}},
          {"id": "c2", "type": "function", "function": {"name": "w", "arguments": {"t": 15.0}}}]},
      {"role": "tool", "tool_call_id": "c1", "content": {"sky": "clear"}}],
      "tools": [{"type": "function", "function": {"name": "w", "description": "Weather",
                 "parameters": {"type": "object"}}}]})",
                          &request),
              IsOk());
  ASSERT_EQ(request.messages_size(), 4);
  EXPECT_EQ(request.messages(0).role(), v1::ChatMessage::SYSTEM);
  EXPECT_EQ(request.messages(1).content(1).text(), "?");
  EXPECT_EQ(request.messages(2).content_size(), 0);
  EXPECT_EQ(request.messages(2).reasoning(), "hm");
  EXPECT_EQ(request.messages(2).tool_calls(0).arguments(), "{\"t\": 1.0}");
  EXPECT_EQ(request.messages(2).tool_calls(1).arguments(), "{\"t\":15.0}");
  EXPECT_EQ(request.messages(3).content(0).json(), "{\"sky\":\"clear\"}");
  EXPECT_EQ(request.messages(3).tool_call_id(), "c1");
  ASSERT_EQ(request.tools_size(), 1);
  EXPECT_EQ(request.tools(0).parameters(), "{\"type\":\"object\"}");
}

TEST(ChatRequestTest, WhatIsWrongIsNamed) {
  const auto refused = [](const char* json, const char* what) {
    v1::ChatRequest request;
    EXPECT_THAT(AddMessages(json, &request),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what)));
  };
  refused("{", "no JSON");
  refused("7", "messages");
  refused(R"([{"role": "user"}, {"role": "robot"}])", "messages[1].role");
  refused(R"([{"role": "user", "content": 7}])", "messages[0].content");
  refused(R"([{"role": "user", "content": [{"type": "image_url"}]}])",
          "messages[0].content[0].type");
  refused(R"([{"role": "assistant", "tool_calls": [7]}])", "messages[0].tool_calls");
  v1::ChatRequest request;
  EXPECT_THAT(AddTools("[{\"name\": \"w\"}]", &request),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("tools[0]")));
}

}  // namespace
}  // namespace facet
