// The life of requests beside each other, on real processes: several completions, log-probabilities
// of prompts, bad requests among good ones, callers that leave or do not read.

#include <map>
#include <thread>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/e2e/generate_client.h"
#include "tests/e2e/local_cluster.h"

namespace facet::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kMaxRunning = 16;

class UnderLoadTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ClusterOptions options;
    options.model = "tests/golden/demo";
    options.router_flags = {"--max_buffered_tokens=32"};
    options.shard_flags = {"--max_running=16"};
    auto cluster = LocalCluster::Start(options);
    ASSERT_THAT(cluster, IsOk());
    cluster_ = cluster->release();
  }
  static void TearDownTestSuite() { std::unique_ptr<LocalCluster> cluster(cluster_); }
  void SetUp() override { ASSERT_NE(cluster_, nullptr); }

  static v1::GenerateRequest SampledRequest(int n, int max_tokens) {
    v1::GenerateRequest request = GreedyRequest({2, 40, 41, 42}, max_tokens);
    request.mutable_sampling()->set_temperature(1);
    request.mutable_sampling()->set_top_k(0);
    request.mutable_sampling()->set_top_p(1);
    request.mutable_sampling()->set_seed(7);
    request.set_n(n);
    return request;
  }

  struct Completions {
    grpc::Status status;
    std::map<int, std::vector<int32_t>> token_ids;
    std::map<int, v1::SequenceEnd> ends;
    std::vector<int32_t> prompt;
    v1::StreamEnd end;
  };

  static Completions ReadAll(grpc::ClientReader<v1::GenerateResponse>& reader) {
    Completions out;
    v1::GenerateResponse message;
    while (reader.Read(&message)) {
      if (message.has_end()) out.end = message.end();
      if (message.has_sequence_end()) {
        out.ends[message.sequence_end().index()] = message.sequence_end();
      }
      for (const auto& token : message.prompt_logprobs().tokens()) {
        EXPECT_TRUE(out.token_ids.empty()) << "the prompt comes before the first delta";
        EXPECT_LE(token.logprob(), 0);
        out.prompt.push_back(token.token_id());
      }
      if (!message.has_delta()) continue;
      auto& ids = out.token_ids[message.delta().index()];
      ids.insert(ids.end(), message.delta().token_ids().begin(), message.delta().token_ids().end());
    }
    out.status = reader.Finish();
    return out;
  }

  static Completions Ask(const v1::GenerateRequest& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(40));
    const auto stub = v1::Generation::NewStub(cluster_->channel());
    return ReadAll(*stub->Generate(&context, request));
  }

  static bool Becomes(const ServerPorts& ports, const std::string& sample, double value) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (LocalCluster::Metric(ports, sample) != value) {
      if (absl::Now() > deadline) return false;
      absl::SleepFor(absl::Milliseconds(5));
    }
    return true;
  }
  static bool EverythingIsGivenBack() {
    const ServerPorts& leader = cluster_->rank_ports(0, 0);
    return Becomes(cluster_->router_ports(), "facet_router_requests_in_flight", 0) &&
           Becomes(leader, "facet_requests_running", 0) &&
           Becomes(leader, "facet_requests_waiting", 0);
  }

  static LocalCluster* cluster_;
};
LocalCluster* UnderLoadTest::cluster_ = nullptr;

TEST_F(UnderLoadTest, ACompletionIsTheSameHoweverManyThereAre) {
  const Completions one = Ask(SampledRequest(1, 12)), two = Ask(SampledRequest(2, 12)),
                    four = Ask(SampledRequest(4, 12));
  for (const Completions* answer : {&one, &two, &four}) {
    ASSERT_TRUE(answer->status.ok()) << answer->status.error_message();
  }
  ASSERT_EQ(four.token_ids.size(), 4u);
  EXPECT_EQ(one.token_ids.at(0), four.token_ids.at(0));
  EXPECT_EQ(two.token_ids.at(0), four.token_ids.at(0));
  EXPECT_EQ(two.token_ids.at(1), four.token_ids.at(1));
  EXPECT_NE(four.token_ids.at(0), four.token_ids.at(1));
  EXPECT_NE(four.token_ids.at(2), four.token_ids.at(3));
  EXPECT_TRUE(one.ends.empty());
  ASSERT_EQ(four.ends.size(), 4u);
  for (const auto& [index, end] : four.ends) {
    EXPECT_EQ(end.finish_reason(), v1::LENGTH) << index;
    EXPECT_EQ(end.completion_tokens(), 12) << index;
  }
  EXPECT_EQ(four.end.usage().completion_tokens(), 48);
  EXPECT_EQ(four.end.usage().prompt_tokens(), 4);
}

TEST_F(UnderLoadTest, ThePromptsTokensHaveLogprobs) {
  std::vector<int32_t> prompt = {2};
  for (int i = 0; i < 100; ++i) prompt.push_back(40 + i);
  v1::GenerateRequest request = GreedyRequest(prompt, 3);
  request.set_prompt_logprobs(2);
  for (int round = 0; round < 2; ++round) {  // the second time it may be in the cache
    const Completions answer = Ask(request);
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_EQ(answer.prompt, std::vector<int32_t>(prompt.begin() + 1, prompt.end()));
    EXPECT_EQ(answer.token_ids.at(0).size(), 3u);
    EXPECT_EQ(answer.end.usage().cached_tokens(), 0);
  }
}

TEST_F(UnderLoadTest, AMalformedRequestAmongEightGoodOnesFailsAlone) {
  std::vector<v1::GenerateRequest> requests;
  for (int i = 0; i < 9; ++i) requests.push_back(GreedyRequest({2, 40 + i}, 24));
  requests[4].mutable_sampling()->set_top_p(7);
  std::vector<Answer> alone, together(requests.size());
  for (const auto& request : requests) alone.push_back(Generate(cluster_->channel(), request));
  std::vector<std::thread> callers;
  for (size_t i = 0; i < requests.size(); ++i) {
    callers.emplace_back([&, i] { together[i] = Generate(cluster_->channel(), requests[i]); });
  }
  for (std::thread& caller : callers) caller.join();
  for (size_t i = 0; i < requests.size(); ++i) {
    if (i == 4) {
      EXPECT_EQ(together[i].status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
      EXPECT_THAT(together[i].status.error_message(), HasSubstr("sampling.top_p is 7"));
      continue;
    }
    EXPECT_TRUE(together[i].status.ok()) << together[i].status.error_message();
    EXPECT_EQ(together[i].token_ids.size(), 24u);
    EXPECT_EQ(together[i].token_ids, alone[i].token_ids);
  }
  EXPECT_TRUE(EverythingIsGivenBack());
}

TEST_F(UnderLoadTest, CallersThatLeaveWhileQueuedOrGeneratingLeaveNothing) {
  const auto stub = v1::Generation::NewStub(cluster_->channel());
  grpc::ClientContext running_context, queued_context;
  const auto running = stub->Generate(&running_context, SampledRequest(kMaxRunning, 500));
  v1::GenerateResponse message;
  ASSERT_TRUE(running->Read(&message) && message.has_start());
  const auto queued = stub->Generate(&queued_context, SampledRequest(1, 5));
  EXPECT_TRUE(Becomes(cluster_->router_ports(), "facet_router_requests_in_flight", 2));
  queued_context.TryCancel();
  EXPECT_EQ(queued->Finish().error_code(), grpc::StatusCode::CANCELLED);
  running_context.TryCancel();
  EXPECT_TRUE(EverythingIsGivenBack());
  EXPECT_EQ(ReadAll(*running).status.error_code(), grpc::StatusCode::CANCELLED);
}

// More than HTTP/2's windows hold: the router cannot get rid of it while nobody reads.
TEST_F(UnderLoadTest, ACallerThatDoesNotReadWaitsWhileOthersStream) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  const auto narrow = v1::Generation::NewStub(grpc::CreateCustomChannel(
      cluster_->router_address(), grpc::InsecureChannelCredentials(), arguments));
  v1::GenerateRequest request = SampledRequest(4, 500);
  request.set_logprobs(20);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  const std::string pauses = "facet_router_reader_pauses_total";
  const double before = LocalCluster::Metric(cluster_->router_ports(), pauses);
  const auto slow = narrow->Generate(&context, request);
  const ServerPorts& leader = cluster_->rank_ports(0, 0);
  ASSERT_TRUE(Becomes(cluster_->router_ports(), pauses, before + 1));
  for (int i = 0; i < 3; ++i) {
    const Completions other = Ask(SampledRequest(2, 40));
    ASSERT_TRUE(other.status.ok()) << other.status.error_message();
    EXPECT_EQ(other.end.usage().completion_tokens(), 80);
  }
  EXPECT_GT(LocalCluster::Metric(leader, "facet_requests_running"), 0);  // it keeps its place
  const Completions answer = ReadAll(*slow);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(answer.token_ids.at(i).size(), 500u) << i;
  EXPECT_TRUE(EverythingIsGivenBack());
}

}  // namespace
}  // namespace facet::testing
