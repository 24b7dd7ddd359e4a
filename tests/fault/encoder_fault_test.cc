// Encoders that are lost, hang or are not what they should be, and callers that leave while they
// work: real processes on golden checkpoints.

#include <signal.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/e2e/generate_client.h"
#include "tests/e2e/local_cluster.h"
#include "tests/testing/files.h"

namespace facet::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kPle[] = "tests/golden/media/ple";
constexpr char kDense[] = "tests/golden/media/dense";
constexpr char kInFlight[] = "facet_router_media_encodings_in_flight";
constexpr char kRetries[] = "facet_router_media_retries_total{encoder=\"vision encoder\"}";

// A prompt with an image, and the tokens that the reference answers.
struct Golden {
  v1::GenerateRequest request;
  std::vector<int32_t> tokens;
};

Golden ImageGolden(const std::string& model) {
  const auto prompt = nlohmann::json::parse(ReadAll(model + "/expected.json"))["prompts"]["image"];
  Golden out;
  out.tokens = prompt["greedy"].get<std::vector<int32_t>>();
  out.request = GreedyRequest(prompt["prompt"].get<std::vector<int32_t>>(),
                              static_cast<int>(out.tokens.size()));
  v1::Media& media = *out.request.add_media();
  media.set_kind(v1::Media::IMAGE);
  media.set_data(
      ReadAll(absl::StrCat(model, "/media/", prompt["media"][0]["file"].get<std::string>())));
  return out;
}

class EncoderFaultTest : public ::testing::Test {
 protected:
  // Nothing is remembered: each request asks an encoder.
  void Start(ClusterOptions options) {
    options.router_flags.push_back("--media_cache_bytes=0");
    options.encoder_flags.push_back("--cache_bytes=0");
    auto cluster = LocalCluster::Start(options);
    ASSERT_THAT(cluster, IsOk());
    cluster_ = *std::move(cluster);
    golden_ = ImageGolden(options.model);
  }
  void StartTwoReplicas(const std::string& encoder_timeout) {
    ClusterOptions options;
    options.model = kPle;
    options.encoders = {"vision", "vision"};
    options.router_flags = {"--encoder_timeout=" + encoder_timeout};
    Start(options);
  }

  double RouterMetric(const std::string& name) {
    return LocalCluster::Metric(cluster_->router_ports(), name);
  }
  void WaitForRouterMetric(const std::string& name, double value) {
    const absl::Time limit = absl::Now() + absl::Seconds(30);
    while (RouterMetric(name) != value && absl::Now() < limit) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    ASSERT_EQ(RouterMetric(name), value) << name;
  }
  void ExpectGolden() {
    const Answer answer = Generate(cluster_->channel(), golden_.request);
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_EQ(answer.token_ids, golden_.tokens);
  }

  std::unique_ptr<LocalCluster> cluster_;
  Golden golden_;
};

TEST_F(EncoderFaultTest, OfTwoReplicasOneMayBeKilledAndIsSoonNotAskedAnyMore) {
  StartTwoReplicas("5s");
  cluster_->encoder(0).Signal(SIGKILL);
  ASSERT_THAT(cluster_->encoder(0).WaitForExit(absl::Seconds(10)), IsOk());
  constexpr int kRequests = 40;
  for (int i = 0; i < kRequests; ++i) ExpectGolden();
  EXPECT_GE(RouterMetric(kRetries), 1);
  EXPECT_LE(RouterMetric(kRetries), 10);  // in turn, it would have been 20
  EXPECT_EQ(RouterMetric("facet_router_media_total{code=\"OK\",kind=\"image\"}"), kRequests);
  EXPECT_EQ(RouterMetric("facet_router_media_encode_seconds_count{kind=\"image\"}"), kRequests);
}

TEST_F(EncoderFaultTest, AReplicaThatHangsLosesItsRequestsToTheOther) {
  StartTwoReplicas("500ms");
  cluster_->encoder(0).Signal(SIGSTOP);
  for (int i = 0; i < 4; ++i) ExpectGolden();
  EXPECT_GE(RouterMetric(kRetries), 1);
  cluster_->encoder(0).Signal(SIGCONT);
  cluster_->encoder(1).Signal(SIGSTOP);
  for (int i = 0; i < 4; ++i) ExpectGolden();
  cluster_->encoder(1).Signal(SIGCONT);
}

TEST_F(EncoderFaultTest, KilledAtWorkItCostsNoRequestAndNoText) {
  StartTwoReplicas("1m");
  for (int i = 0; i < 2; ++i) ExpectGolden();  // both are connected
  cluster_->encoder(0).Signal(SIGSTOP);
  constexpr size_t kCallers = 6;
  std::vector<Answer> images(kCallers), texts(kCallers);
  std::vector<std::thread> callers;
  for (size_t i = 0; i < kCallers; ++i) {
    callers.emplace_back([&, i] { images[i] = Generate(cluster_->channel(), golden_.request); });
  }
  // In turn: half of them are with each.
  WaitForRouterMetric(kInFlight, kCallers / 2);
  for (size_t i = 0; i < kCallers; ++i) {
    callers.emplace_back([&, i] {
      texts[i] = Generate(cluster_->channel(), GreedyRequest({2, 5, 9}, 50));
    });
  }
  cluster_->encoder(0).Signal(SIGKILL);
  for (std::thread& caller : callers) caller.join();
  for (size_t i = 0; i < kCallers; ++i) {
    ASSERT_TRUE(images[i].status.ok()) << images[i].status.error_message();
    EXPECT_EQ(images[i].token_ids, golden_.tokens);
    EXPECT_TRUE(texts[i].status.ok()) << texts[i].status.error_message();
    EXPECT_EQ(texts[i].token_ids, texts[0].token_ids);
  }
  EXPECT_EQ(RouterMetric(kInFlight), 0);
}

TEST_F(EncoderFaultTest, ACallerThatLeavesWhileItsImageIsEncodedFreesEverything) {
  ClusterOptions options;
  options.model = kPle;
  options.encoders = {"vision"};
  options.router_flags = {"--encoder_timeout=1m", "--media_requests=1"};
  Start(options);
  ExpectGolden();  // it is connected
  cluster_->encoder(0).Signal(SIGSTOP);
  for (int i = 0; i < 3; ++i) {
    grpc::ClientContext context;
    const auto stub = v1::Generation::NewStub(cluster_->channel());
    const auto reader = stub->Generate(&context, golden_.request);
    WaitForRouterMetric(kInFlight, 1);
    context.TryCancel();
    v1::GenerateResponse ignored;
    while (reader->Read(&ignored)) {
    }
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
    WaitForRouterMetric(kInFlight, 0);
    WaitForRouterMetric("facet_router_requests_in_flight", 0);
  }
  // Its only thread for media is free again, though the encoder still hangs.
  const Answer late = Generate(cluster_->channel(), golden_.request, /*timeout_seconds=*/1);
  EXPECT_EQ(late.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  WaitForRouterMetric(kInFlight, 0);
  cluster_->encoder(0).Signal(SIGCONT);
  ExpectGolden();
  EXPECT_EQ(LocalCluster::Metric(cluster_->encoder_ports(0), "facet_encoder_requests_in_flight"),
            0);
  EXPECT_EQ(LocalCluster::Metric(cluster_->rank_ports(0, 0), "facet_requests_running"), 0);
}

TEST_F(EncoderFaultTest, AnEncoderOfAnotherCheckpointIsRefused) {
  ClusterOptions options;
  options.model = kDense;
  options.encoders = {"vision"};
  options.encoder_model = kPle;
  Start(options);
  const Answer answer = Generate(cluster_->channel(), golden_.request);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(answer.status.error_message(),
              AllOf(HasSubstr("vision encoder at " + cluster_->encoder_ports(0).grpc_address()),
                    HasSubstr("serves checkpoint"), HasSubstr("(ple)")));
}

TEST_F(EncoderFaultTest, AnEncoderThatComputesInAnotherTypeIsRefused) {
  ClusterOptions options;
  options.model = kPle;
  options.encoders = {"vision"};
  options.encoder_flags = {"--dtype=bf16"};
  Start(options);
  const Answer answer = Generate(cluster_->channel(), golden_.request);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(answer.status.error_message(),
              HasSubstr("computes in bf16 (--dtype), and the shard groups in f32"));
}

}  // namespace
}  // namespace facet::testing
