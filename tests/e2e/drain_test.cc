// How a router of a real cluster ends, and what it does while groups come and go.

#include <signal.h>

#include <thread>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/e2e/generate_client.h"
#include "tests/e2e/local_cluster.h"
#include "tests/testing/health_client.h"

namespace facet::testing {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr int kAllTokens = 500;

ClusterOptions Demo() {
  ClusterOptions options;
  options.model = "tests/golden/demo";
  return options;
}

// Begins a long generation and reads its first tokens.
class LongStream {
 public:
  explicit LongStream(LocalCluster& cluster)
      : stub_(v1::Generation::NewStub(cluster.channel())),
        reader_(stub_->Generate(&context_, GreedyRequest({2, 40}, kAllTokens))) {
    v1::GenerateResponse message;
    while (tokens_ == 0 && reader_->Read(&message)) tokens_ += message.delta().token_ids_size();
  }

  // Reads the rest.
  grpc::Status Finish() {
    v1::GenerateResponse message;
    while (reader_->Read(&message)) tokens_ += message.delta().token_ids_size();
    return reader_->Finish();
  }

  int tokens() const { return tokens_; }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::Generation::Stub> stub_;
  std::unique_ptr<grpc::ClientReader<v1::GenerateResponse>> reader_;
  int tokens_ = 0;
};

TEST(DrainTest, ARouterThatIsToldToStopFinishesItsStreams) {
  ClusterOptions options = Demo();
  options.router_flags = {"--grace_period=30s", "--drain_delay=500ms"};
  const auto cluster = LocalCluster::Start(options);
  ASSERT_THAT(cluster, IsOk());
  LongStream stream(**cluster);
  ASSERT_GT(stream.tokens(), 0);
  HealthClient health((*cluster)->router_address());
  (*cluster)->router().Signal(SIGTERM);
  EXPECT_TRUE(health.WaitFor("facet.v1.Generation", "NOT_SERVING", absl::Seconds(10)));
  EXPECT_EQ(health.Check("liveness"), "SERVING");
  const grpc::Status status = stream.Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(stream.tokens(), kAllTokens);
  const auto exit_status = (*cluster)->router().WaitForExit(absl::Seconds(30));
  ASSERT_THAT(exit_status, IsOk());
  EXPECT_EQ(*exit_status, 0);
  EXPECT_EQ(Generate((*cluster)->channel(), GreedyRequest({2}, 1), /*timeout_seconds=*/5)
                .status.error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST(DrainTest, AStreamThatOutlastsTheGracePeriodIsEnded) {
  ClusterOptions options = Demo();
  options.router_flags = {"--grace_period=1ms"};
  const auto cluster = LocalCluster::Start(options);
  ASSERT_THAT(cluster, IsOk());
  LongStream stream(**cluster);
  ASSERT_GT(stream.tokens(), 0);
  (*cluster)->router().Signal(SIGTERM);
  EXPECT_THAT(stream.Finish().error_code(),
              AnyOf(grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::CANCELLED));
  EXPECT_LT(stream.tokens(), kAllTokens);
  const auto exit_status = (*cluster)->router().WaitForExit(absl::Seconds(20));
  ASSERT_THAT(exit_status, IsOk());
  EXPECT_EQ(*exit_status, 0);
}

TEST(DrainTest, CallersDoNotSeeThatAGroupDrains) {
  ClusterOptions options = Demo();
  options.groups = 2;
  const auto cluster = LocalCluster::Start(options);
  ASSERT_THAT(cluster, IsOk());
  std::vector<Answer> answers(40);
  std::vector<std::thread> callers;
  std::atomic<size_t> next{0};
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      for (size_t i = next++; i < answers.size(); i = next++) {
        if (i == 10) (*cluster)->rank(0, 0).Signal(SIGTERM);
        answers[i] = Generate((*cluster)->channel(), GreedyRequest({2, 40}, 20));
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const Answer& answer : answers) {
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_EQ(answer.token_ids, answers[0].token_ids);
  }
  const auto exit_status = (*cluster)->rank(0, 0).WaitForExit(absl::Seconds(30));
  ASSERT_THAT(exit_status, IsOk());
  EXPECT_EQ(*exit_status, 0);
}

TEST(DrainTest, WithoutAGroupTheRouterIsNotReadyButAlive) {
  ClusterOptions options = Demo();
  options.router_flags = {"--wait_for_group=0s"};
  const auto cluster = LocalCluster::Start(options);
  ASSERT_THAT(cluster, IsOk());
  HealthClient health((*cluster)->router_address());
  (*cluster)->rank(0, 0).Signal(SIGKILL);
  EXPECT_TRUE(health.WaitFor("", "NOT_SERVING", absl::Seconds(10)));
  EXPECT_EQ(health.Check("liveness"), "SERVING");
  const Answer answer = Generate((*cluster)->channel(), GreedyRequest({2}, 1));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(answer.status.error_message(), HasSubstr("no shard group is ready"));
}

}  // namespace
}  // namespace facet::testing
