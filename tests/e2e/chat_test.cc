// Chat on real processes: a router and two ranks that serve a tiny checkpoint with random weights.
// What it says is noise, so this looks at the protocol, lengths, usage and errors.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/tokenizer/tokenizer.h"
#include "proto/facet/v1/generation.grpc.pb.h"
#include "proto/facet/v1/models.grpc.pb.h"
#include "tests/e2e/local_cluster.h"

namespace facet::testing {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr char kModel[] = "tests/golden/demo";

struct Completion {
  std::string reasoning, content;
  std::vector<int32_t> token_ids;
  v1::ChatSequenceEnd end;
};

struct Answer {
  grpc::Status status;
  v1::ChatStart start;
  std::map<int, Completion> completions;
  v1::ChatEnd end;
};

class ChatTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ClusterOptions options;
    options.model = kModel;
    options.tensor_parallel = 2;
    auto cluster = LocalCluster::Start(options);
    ASSERT_THAT(cluster, IsOk());
    cluster_ = cluster->release();
    auto tokenizer = Tokenizer::Load(std::string(kModel) + "/tokenizer.json");
    ASSERT_THAT(tokenizer, IsOk());
    tokenizer_ = tokenizer->release();
  }
  static void TearDownTestSuite() {
    std::unique_ptr<LocalCluster> cluster(cluster_);
    std::unique_ptr<Tokenizer> tokenizer(tokenizer_);
  }
  void SetUp() override { ASSERT_NE(cluster_, nullptr); }

  // Never ends by itself before `tokens`.
  static v1::ChatRequest Ask(const std::string& text, int tokens) {
    v1::ChatRequest request;
    v1::ChatMessage* message = request.add_messages();
    message->set_role(v1::ChatMessage::USER);
    message->add_content()->set_text(text);
    request.mutable_sampling()->set_seed(7);
    request.mutable_stopping()->set_max_tokens(tokens);
    request.mutable_stopping()->set_min_tokens(tokens);
    return request;
  }

  static Answer Chat(const v1::ChatRequest& request) {
    const auto stub = v1::Generation::NewStub(cluster_->channel());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    const auto reader = stub->Chat(&context, request);
    Answer answer;
    v1::ChatResponse message;
    while (reader->Read(&message)) {
      if (message.has_start()) answer.start = message.start();
      if (message.has_end()) answer.end = message.end();
      if (message.has_sequence_end()) {
        answer.completions[message.sequence_end().index()].end = message.sequence_end();
      }
      if (!message.has_delta()) continue;
      const v1::ChatDelta& delta = message.delta();
      Completion& completion = answer.completions[delta.index()];
      completion.reasoning += delta.reasoning();
      completion.content += delta.content();
      completion.token_ids.insert(completion.token_ids.end(), delta.token_ids().begin(),
                                  delta.token_ids().end());
    }
    answer.status = reader->Finish();
    return answer;
  }

  static int32_t Id(const char* piece) { return *tokenizer_->TokenToId(piece); }

  static LocalCluster* cluster_;
  static Tokenizer* tokenizer_;
};
LocalCluster* ChatTest::cluster_ = nullptr;
Tokenizer* ChatTest::tokenizer_ = nullptr;

TEST_F(ChatTest, AnAnswerHasItsLengthAndUsage) {
  const Answer answer = Chat(Ask("Hello!", 24));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  ASSERT_THAT(answer.completions, SizeIs(1));
  const Completion& completion = answer.completions.at(0);
  EXPECT_THAT(completion.token_ids, SizeIs(24));
  EXPECT_EQ(completion.end.finish_reason(), v1::LENGTH);
  EXPECT_EQ(answer.end.usage().completion_tokens(), 24);
  EXPECT_EQ(answer.end.usage().prompt_tokens(), answer.start.prompt_tokens());
  EXPECT_GT(answer.end.timings().total_seconds(), 0);
}

TEST_F(ChatTest, ItIsWhatGenerateGivesForTheRenderedPrompt) {
  const v1::ChatRequest chat = Ask("Hello!", 16);
  const auto stub = v1::Generation::NewStub(cluster_->channel());
  grpc::ClientContext render_context, context;
  v1::RenderChatResponse rendered;
  ASSERT_TRUE(stub->RenderChat(&render_context, chat, &rendered).ok());
  EXPECT_EQ(rendered.prompt(), "<bos><|turn>user\nHello!<turn|>\n<|turn>model\n");
  v1::GenerateRequest generate;
  *generate.mutable_prompt()->mutable_token_ids()->mutable_ids() = rendered.token_ids();
  *generate.mutable_sampling() = chat.sampling();
  *generate.mutable_stopping() = chat.stopping();
  // Chat knows the end tokens by name, and lets no call begin where there are no tools.
  for (const char* piece : {"<turn|>", "<|tool_response>", "<eos>", "<|tool_call>"}) {
    (*generate.mutable_sampling()->mutable_logit_bias())[Id(piece)] = -100;
  }
  const auto reader = stub->Generate(&context, generate);
  v1::GenerateResponse message;
  std::vector<int32_t> tokens;
  while (reader->Read(&message)) {
    tokens.insert(tokens.end(), message.delta().token_ids().begin(),
                  message.delta().token_ids().end());
  }
  ASSERT_TRUE(reader->Finish().ok());
  const Answer answer = Chat(chat);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  // The last place is where an end token may come.
  ASSERT_THAT(tokens, SizeIs(16));
  EXPECT_THAT(answer.completions.at(0).token_ids, ElementsAreArray(tokens));
}

TEST_F(ChatTest, CompletionsOfOneSeedAreTheSameAlone) {
  v1::ChatRequest request = Ask("Hello!", 12);
  const Answer alone = Chat(request);
  request.set_n(3);
  const Answer three = Chat(request);
  ASSERT_THAT(three.completions, SizeIs(3));
  EXPECT_EQ(three.completions.at(0).token_ids, alone.completions.at(0).token_ids);
  EXPECT_EQ(three.completions.at(0).content, alone.completions.at(0).content);
  EXPECT_NE(three.completions.at(1).token_ids, alone.completions.at(0).token_ids);
  EXPECT_EQ(three.end.usage().completion_tokens(), 36);
}

TEST_F(ChatTest, AThoughtIsClosedWhereItsBudgetEnds) {
  v1::ChatRequest request = Ask("Weather?", 20);
  request.set_enable_thinking(true);
  request.set_max_reasoning_tokens(6);
  request.mutable_tool_choice()->set_mode(v1::ToolChoice::NONE);
  v1::ChatMessage* call = request.add_messages();
  call->set_role(v1::ChatMessage::ASSISTANT);
  call->add_tool_calls()->set_name("weather");
  v1::ChatMessage* result = request.add_messages();
  result->set_role(v1::ChatMessage::TOOL);
  result->add_content()->set_text("15 degrees");
  // The thought is open, and the model would never close it.
  (*request.mutable_sampling()->mutable_logit_bias())[Id("<channel|>")] = -100;
  request.mutable_sampling()->set_temperature(0);
  const Answer answer = Chat(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  const Completion& completion = answer.completions.at(0);
  ASSERT_THAT(completion.token_ids, SizeIs(20));
  EXPECT_EQ(std::count(completion.token_ids.begin(), completion.token_ids.end(), Id("<channel|>")),
            1);
  EXPECT_EQ(completion.token_ids[6], Id("<channel|>"));
  EXPECT_EQ(completion.end.reasoning_tokens(), 7);  // and its end
  EXPECT_EQ(answer.end.usage().reasoning_tokens(), 7);
}

TEST_F(ChatTest, ErrorsNameWhatIsWrong) {
  v1::ChatRequest request = Ask("Hello!", 4);
  request.mutable_messages(0)->clear_role();
  Answer answer = Chat(request);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(answer.status.error_message(), HasSubstr("messages[0].role"));
  request = Ask("Hello!", 1 << 20);
  answer = Chat(request);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(answer.status.error_message(), HasSubstr("stopping.max_tokens"));
  request = Ask("Hello!", 4);
  request.set_model("other");
  EXPECT_EQ(Chat(request).status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ChatTest, ACancelledChatLeavesNothingBehind) {
  const auto stub = v1::Generation::NewStub(cluster_->channel());
  grpc::ClientContext context;
  const auto reader = stub->Chat(&context, Ask("Hello!", 200));
  v1::ChatResponse message;
  ASSERT_TRUE(reader->Read(&message));
  context.TryCancel();
  while (reader->Read(&message)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  double running = -1;
  while (absl::Now() < deadline && running != 0) {
    running = LocalCluster::Metric(cluster_->router_ports(), "facet_router_requests_in_flight");
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_EQ(running, 0);
}

TEST_F(ChatTest, TheModelTellsItsTemplate) {
  grpc::ClientContext context;
  v1::Model model;
  ASSERT_TRUE(v1::Models::NewStub(cluster_->channel())
                  ->GetModel(&context, v1::GetModelRequest(), &model)
                  .ok());
  EXPECT_EQ(model.chat_template().variant(), "small");
  EXPECT_EQ(model.chat_template().warning(), "");
}

}  // namespace
}  // namespace facet::testing
