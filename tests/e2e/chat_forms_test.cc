// Answers of a given form through the router, on real processes with random weights: what is asked
// for comes, whatever the model would rather say.

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/tokenizer/tokenizer.h"
#include "nlohmann/json.hpp"
#include "tests/e2e/chat_client.h"
#include "tests/e2e/local_cluster.h"

namespace facet::testing {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr char kModel[] = "tests/golden/media/chat";  // asked for text alone
constexpr char kSchema[] = R"({"type": "object", "properties": {
    "ok": {"type": "boolean"}, "words": {"type": "array", "maxItems": 3,
    "items": {"enum": ["sea", "storm"]}}}, "required": ["ok", "words"],
    "additionalProperties": false})";

class ChatFormsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ClusterOptions options;
    options.model = kModel;
    auto cluster = LocalCluster::Start(options);
    ASSERT_THAT(cluster, IsOk());
    cluster_ = cluster->release();
  }
  static void TearDownTestSuite() { std::unique_ptr<LocalCluster> cluster(cluster_); }
  void SetUp() override { ASSERT_NE(cluster_, nullptr); }

  static v1::ChatRequest Ask(uint64_t seed) {
    v1::ChatRequest request;
    AddText("Hello!", AddMessage(v1::ChatMessage::USER, &request));
    request.mutable_sampling()->set_seed(seed);
    request.mutable_stopping()->set_max_tokens(300);
    return request;
  }

  static void AddTool(const std::string& name, v1::ChatRequest* request) {
    v1::Tool& tool = *request->add_tools();
    tool.set_name(name);
    tool.set_parameters(R"({"type": "object", "properties": {"on": {"type": "boolean"}},
                            "required": ["on"], "additionalProperties": false})");
  }

  static void ExpectFollowsSchema(const ChatAnswer& answer) {
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_EQ(answer.sequence_end.finish_reason(), v1::STOP) << answer.content;
    const Json json = Json::parse(answer.content, nullptr, /*allow_exceptions=*/false);
    ASSERT_TRUE(json.is_object()) << answer.content;
    EXPECT_TRUE(json["ok"].is_boolean()) << answer.content;
    EXPECT_TRUE(json["words"].is_array() && json["words"].size() <= 3) << answer.content;
  }

  static LocalCluster* cluster_;
};
LocalCluster* ChatFormsTest::cluster_ = nullptr;

TEST_F(ChatFormsTest, ARequiredToolIsCalledWhateverTheSeed) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    v1::ChatRequest request = Ask(seed);
    AddTool("light", &request);
    AddTool("heating", &request);
    request.mutable_tool_choice()->set_mode(v1::ToolChoice::REQUIRED);
    request.set_parallel_tool_calls(false);
    const ChatAnswer answer = Chat(cluster_->channel(), request);
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_EQ(answer.sequence_end.finish_reason(), v1::TOOL_CALL);
    ASSERT_EQ(answer.calls.size(), 1u) << answer.content;
    EXPECT_EQ(answer.content, "");
    EXPECT_TRUE(Json::parse(answer.calls[0].arguments())["on"].is_boolean());
  }
}

TEST_F(ChatFormsTest, ANamedToolIsTheOneThatIsCalled) {
  std::map<std::string, int> called;
  for (const std::string name : {"light", "heating"}) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      v1::ChatRequest request = Ask(seed);
      AddTool("light", &request);
      AddTool("heating", &request);
      request.mutable_tool_choice()->set_mode(v1::ToolChoice::NAMED);
      request.mutable_tool_choice()->set_name(name);
      const ChatAnswer answer = Chat(cluster_->channel(), request);
      ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
      EXPECT_EQ(answer.sequence_end.finish_reason(), v1::TOOL_CALL);
      for (const v1::ToolCallDelta& call : answer.calls) ++called[call.name()];
      EXPECT_EQ(called.count(name), 1u);
    }
    EXPECT_TRUE(name != "light" || called.count("heating") == 0);
  }
}

TEST_F(ChatFormsTest, ProseIsNeverAToolCall) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    v1::ChatRequest request = Ask(seed);
    AddTool("light", &request);
    request.mutable_stopping()->set_max_tokens(24);
    const ChatAnswer answer = Chat(cluster_->channel(), request);
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_EQ(answer.sequence_end.finish_reason() == v1::TOOL_CALL, !answer.calls.empty());
  }
}

TEST_F(ChatFormsTest, AModelThatLovesLineBreaksStillEndsItsJson) {
  const auto tokenizer = Tokenizer::Load(absl::StrCat(kModel, "/tokenizer.json"));
  ASSERT_THAT(tokenizer, IsOk());
  for (const char* loved : {"\n", " ", "\t"}) {
    v1::ChatRequest request = Ask(3);
    request.mutable_response_format()->set_json_schema(kSchema);
    const auto ids = (*tokenizer)->Encode(loved, {});
    ASSERT_THAT(ids, IsOk());
    for (const int32_t id : *ids) (*request.mutable_sampling()->mutable_logit_bias())[id] = 60;
    ExpectFollowsSchema(Chat(cluster_->channel(), request));
  }
}

TEST_F(ChatFormsTest, ASchemaThatCannotBeEnforcedFailsAloneAmongEight) {
  constexpr size_t kCallers = 8, kBad = 3;
  std::vector<ChatAnswer> answers(kCallers);
  std::vector<std::thread> callers;
  for (size_t i = 0; i < kCallers; ++i) {
    callers.emplace_back([&, i] {
      v1::ChatRequest request = Ask(i + 1);
      request.mutable_response_format()->set_json_schema(
          i == kBad ? R"({"type": "object", "properties": {"a": {"not": {}}}})" : kSchema);
      answers[i] = Chat(cluster_->channel(), request);
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (size_t i = 0; i < kCallers; ++i) {
    if (i != kBad) {
      ExpectFollowsSchema(answers[i]);
      continue;
    }
    EXPECT_EQ(answers[i].status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(answers[i].status.error_message(), HasSubstr("/properties/a/not"));
  }
}

TEST_F(ChatFormsTest, AThoughtComesBeforeTheJsonThatIsAskedFor) {
  v1::ChatRequest request = Ask(5);
  request.set_enable_thinking(true);
  request.set_max_reasoning_tokens(6);
  request.mutable_response_format()->set_json_schema(kSchema);
  // After a result the prompt ends inside a thought.
  AddMessage(v1::ChatMessage::ASSISTANT, &request)->add_tool_calls()->set_name("light");
  AddText("on", AddMessage(v1::ChatMessage::TOOL, &request));
  const ChatAnswer answer = Chat(cluster_->channel(), request);
  ExpectFollowsSchema(answer);
  EXPECT_GE(answer.sequence_end.reasoning_tokens(), 1);
  EXPECT_LE(answer.sequence_end.reasoning_tokens(), 7);
}

}  // namespace
}  // namespace facet::testing
