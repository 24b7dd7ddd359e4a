// What callers of a cluster see: text, log-probabilities, seeds, load, errors, cancellation,
// health, reflection, metrics, logs. One cluster of real processes for all of it: two ranks, a
// tokenizer.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "model/tokenizer/tokenizer.h"
#include "nlohmann/json.hpp"
#include "tests/e2e/generate_client.h"
#include "tests/e2e/local_cluster.h"
#include "tests/testing/health_client.h"

namespace facet::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kModel[] = "tests/golden/demo";

class ServingTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ClusterOptions options;
    options.model = kModel;
    options.tensor_parallel = 2;
    auto cluster = LocalCluster::Start(options);
    ASSERT_THAT(cluster, IsOk());
    cluster_ = cluster->release();
    auto tokenizer = Tokenizer::Load(absl::StrCat(kModel, "/tokenizer.json"));
    ASSERT_THAT(tokenizer, IsOk());
    tokenizer_ = tokenizer->release();
  }
  static void TearDownTestSuite() {
    std::unique_ptr<LocalCluster> cluster(cluster_);
    std::unique_ptr<Tokenizer> tokenizer(tokenizer_);
  }
  void SetUp() override { ASSERT_NE(cluster_, nullptr); }

  static v1::GenerateRequest TextRequest(const std::string& text, int max_tokens) {
    v1::GenerateRequest request;
    request.mutable_prompt()->set_text(text);
    request.mutable_sampling()->set_temperature(0);
    request.mutable_stopping()->set_max_tokens(max_tokens);
    request.mutable_stopping()->set_ignore_eos(true);
    return request;
  }

  static Answer Ask(const v1::GenerateRequest& request) {
    return Generate(cluster_->channel(), request);
  }

  // Waits for a sample on the leader's page.
  static bool LeaderMetricBecomes(const std::string& sample, double value) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (LocalCluster::Metric(cluster_->rank_ports(0, 0), sample) != value) {
      if (absl::Now() > deadline) return false;
      absl::SleepFor(absl::Milliseconds(5));
    }
    return true;
  }

  static LocalCluster* cluster_;
  static Tokenizer* tokenizer_;
};
LocalCluster* ServingTest::cluster_ = nullptr;
Tokenizer* ServingTest::tokenizer_ = nullptr;

TEST_F(ServingTest, TextHasTheFormThatWasAskedFor) {
  v1::GenerateRequest request = TextRequest("Hello", 120);
  request.mutable_stopping()->set_ignore_eos(false);
  request.mutable_sampling()->set_temperature(1.5);
  request.mutable_sampling()->set_seed(3);
  const auto text = [&request] {
    const Answer answer = Ask(request);
    EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
    return answer.text;
  };
  request.mutable_response_format()->set_json_schema(
      R"({"type":"object","properties":{"city":{"enum":["Oslo","Rome"]},
          "ok":{"type":"boolean"}},"required":["city","ok"]})");
  const auto value = nlohmann::json::parse(text(), nullptr, false);
  ASSERT_TRUE(value.is_object()) << value;
  EXPECT_EQ(value.size(), 2u);
  EXPECT_TRUE(value["city"] == "Oslo" || value["city"] == "Rome") << value;
  EXPECT_TRUE(value["ok"].is_boolean()) << value;
  request.mutable_response_format()->set_regex("(ab|cd){2}[0-9]{3}");
  EXPECT_THAT(text(), ::testing::MatchesRegex("(ab|cd)(ab|cd)[0-9][0-9][0-9]"));
  request.mutable_response_format()->set_ebnf("root ::= \"so\" (\" far\" | \" good\")");
  EXPECT_THAT(text(), ::testing::AnyOf("so far", "so good"));
  request.mutable_response_format()->set_json_schema(R"({"properties":{"a":{"not":{}}}})");
  const Answer bad = Ask(request);
  EXPECT_EQ(bad.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(bad.status.error_message(), HasSubstr("/properties/a/not"));
}

TEST_F(ServingTest, TextGoesInAndComesOut) {
  const std::string prompt = "Hello, wörld! 😊";
  const Answer answer = Ask(TextRequest(prompt, 16));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  std::vector<int32_t> ids = *tokenizer_->Encode(prompt, {});
  ids.insert(ids.begin(), *tokenizer_->TokenToId("<bos>"));
  EXPECT_EQ(answer.start.prompt_tokens(), static_cast<int>(ids.size()));
  EXPECT_EQ(answer.token_ids.size(), 16u);
  EXPECT_EQ(answer.text, tokenizer_->Decode(answer.token_ids, /*skip_special=*/true));
  EXPECT_EQ(answer.empty_deltas, 0);
  EXPECT_EQ(Ask(GreedyRequest(ids, 16)).token_ids, answer.token_ids);
  EXPECT_EQ(answer.end.usage().completion_tokens(), 16);
}

TEST_F(ServingTest, AStopStringCutsTheText) {
  const Answer whole = Ask(TextRequest("Once upon a time", 40));
  ASSERT_TRUE(whole.status.ok()) << whole.status.error_message();
  const std::string stop = CodePointFromTheMiddle(whole.text);
  ASSERT_NE(stop, "");
  v1::GenerateRequest request = TextRequest("Once upon a time", 40);
  request.mutable_stopping()->add_stop(stop);
  const Answer cut = Ask(request);
  ASSERT_TRUE(cut.status.ok()) << cut.status.error_message();
  EXPECT_EQ(cut.text, whole.text.substr(0, whole.text.find(stop)));
  EXPECT_EQ(cut.end.finish_reason(), v1::STOP_SEQUENCE);
  EXPECT_EQ(cut.end.matched_stop(), stop);
  EXPECT_LT(cut.token_ids.size(), whole.token_ids.size());
}

TEST_F(ServingTest, LogprobsRankTheTokens) {
  v1::GenerateRequest request = GreedyRequest({2, 40, 41, 42}, 8);
  request.set_logprobs(5);
  const Answer answer = Ask(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  ASSERT_EQ(answer.logprobs.size(), 8u);
  for (size_t i = 0; i < answer.logprobs.size(); ++i) {
    const v1::TokenLogprob& token = answer.logprobs[i];
    EXPECT_EQ(token.token_id(), answer.token_ids[i]);
    EXPECT_LE(token.logprob(), 0);
    ASSERT_EQ(token.top_size(), 5);
    EXPECT_EQ(token.top(0).token_id(), token.token_id());  // greedy takes the likeliest
    EXPECT_EQ(token.top(0).logprob(), token.logprob());
    double probability = 0;
    for (int k = 0; k < 5; ++k) {
      probability += std::exp(token.top(k).logprob());
      EXPECT_LE(token.top(k).logprob(), token.top(std::max(k - 1, 0)).logprob());
    }
    EXPECT_LE(probability, 1.0001);
  }
  request.clear_logprobs();
  EXPECT_TRUE(Ask(request).logprobs.empty());
}

TEST_F(ServingTest, EqualSeedsGiveEqualAnswers) {
  v1::GenerateRequest request = GreedyRequest({2, 40, 41, 42}, 24);
  request.mutable_sampling()->set_temperature(1);
  request.mutable_sampling()->set_top_k(0);
  request.mutable_sampling()->set_top_p(1);
  request.mutable_sampling()->set_seed(7);
  const Answer first = Ask(request);
  ASSERT_TRUE(first.status.ok()) << first.status.error_message();
  EXPECT_EQ(Ask(request).token_ids, first.token_ids);
  request.mutable_sampling()->set_seed(8);
  EXPECT_NE(Ask(request).token_ids, first.token_ids);
  request.mutable_sampling()->clear_seed();
  EXPECT_NE(Ask(request).token_ids, Ask(request).token_ids);
}

TEST_F(ServingTest, ALogitBiasBansAToken) {
  const Answer free = Ask(GreedyRequest({2, 40, 41, 42}, 8));
  ASSERT_TRUE(free.status.ok()) << free.status.error_message();
  v1::GenerateRequest request = GreedyRequest({2, 40, 41, 42}, 8);
  (*request.mutable_sampling()->mutable_logit_bias())[free.token_ids[0]] = -100;
  const Answer banned = Ask(request);
  ASSERT_TRUE(banned.status.ok()) << banned.status.error_message();
  for (const int32_t id : banned.token_ids) EXPECT_NE(id, free.token_ids[0]);
}

TEST_F(ServingTest, EightMixedRequestsTogetherAnswerAsEachAlone) {
  std::vector<v1::GenerateRequest> requests;
  std::mt19937 random(5);
  for (int i = 0; i < 8; ++i) {
    std::vector<int32_t> prompt;
    for (int n = 1 + i * 23, j = 0; j < n; ++j) {
      prompt.push_back(static_cast<int32_t>(3 + random() % 500));
    }
    requests.push_back(GreedyRequest(prompt, 8 + 5 * i));
    if (i % 2) {
      requests.back().mutable_sampling()->set_temperature(0.8 + 0.1 * i);
      requests.back().mutable_sampling()->set_seed(static_cast<uint64_t>(i));
    }
    if (i % 3 == 0) requests.back().mutable_sampling()->set_repetition_penalty(1.2);
  }
  std::vector<Answer> alone, together(requests.size());
  for (const auto& request : requests) alone.push_back(Ask(request));
  std::vector<std::thread> callers;
  for (size_t i = 0; i < requests.size(); ++i) {
    callers.emplace_back([&, i] { together[i] = Ask(requests[i]); });
  }
  for (std::thread& caller : callers) caller.join();
  for (size_t i = 0; i < requests.size(); ++i) {
    ASSERT_TRUE(alone[i].status.ok()) << alone[i].status.error_message();
    ASSERT_TRUE(together[i].status.ok()) << together[i].status.error_message();
    EXPECT_EQ(together[i].token_ids, alone[i].token_ids) << "request " << i;
    EXPECT_EQ(together[i].text, alone[i].text);
  }
}

TEST_F(ServingTest, ContextLimitsAreRefusedWithBothNumbers) {
  const Answer too_long = Ask(GreedyRequest(std::vector<int32_t>(600, 7), 1));
  EXPECT_EQ(too_long.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(too_long.status.error_message(), AllOf(HasSubstr("600"), HasSubstr("512")));
  const Answer no_room = Ask(GreedyRequest(std::vector<int32_t>(500, 7), 13));
  EXPECT_EQ(no_room.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(no_room.status.error_message(),
              AllOf(HasSubstr("500"), HasSubstr("13"), HasSubstr("512")));
}

TEST_F(ServingTest, AGenerationMayFillTheContextExactly) {
  const Answer full = Ask(GreedyRequest(std::vector<int32_t>(500, 7), 12));
  ASSERT_TRUE(full.status.ok()) << full.status.error_message();
  EXPECT_EQ(full.token_ids.size(), 12u);
  v1::GenerateRequest open = GreedyRequest(std::vector<int32_t>(500, 7), 12);
  open.mutable_stopping()->clear_max_tokens();
  const Answer rest = Ask(open);
  ASSERT_TRUE(rest.status.ok()) << rest.status.error_message();
  EXPECT_EQ(rest.token_ids, full.token_ids);
  EXPECT_EQ(rest.end.finish_reason(), v1::LENGTH);
}

TEST_F(ServingTest, ACancelledRequestFreesItsPages) {
  ASSERT_TRUE(LeaderMetricBecomes("facet_requests_running", 0));
  grpc::ClientContext context;
  const auto stub = v1::Generation::NewStub(cluster_->channel());
  const auto reader = stub->Generate(&context, GreedyRequest({2, 40}, 510));
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message) && message.has_start());
  ASSERT_TRUE(reader->Read(&message) && message.has_delta());
  context.TryCancel();
  EXPECT_TRUE(LeaderMetricBecomes("facet_requests_running", 0));
  while (reader->Read(&message)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(ServingTest, ADeadlineEndsARequest) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(30));
  const auto stub = v1::Generation::NewStub(cluster_->channel());
  const auto reader = stub->Generate(&context, GreedyRequest({2, 40}, 510));
  v1::GenerateResponse message;
  while (reader->Read(&message)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(LeaderMetricBecomes("facet_requests_running", 0));
}

TEST_F(ServingTest, HealthNamesAreServing) {
  HealthClient health(cluster_->router_address());
  for (const char* name : {"", "readiness", "liveness", "facet.v1.Generation", "facet.v1.Models"}) {
    EXPECT_EQ(health.Check(name), "SERVING") << name;
  }
  EXPECT_EQ(health.Check("facet.internal.ShardEngine"), "NOT_FOUND");
}

TEST_F(ServingTest, ReflectionListsTheServices) {
  // ServerReflectionRequest with field 7, list_services, as raw bytes.
  const std::string request("\x3a\x01*", 3);
  grpc::Slice slice(request);
  const grpc::ByteBuffer question(&slice, 1);
  grpc::ByteBuffer answer;
  grpc::GenericStub stub(cluster_->channel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  const auto next = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  ASSERT_TRUE(next());
  call->Write(question, nullptr);
  ASSERT_TRUE(next());
  call->Read(&answer, nullptr);
  ASSERT_TRUE(next());
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(answer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& s : slices) {
    bytes.append(reinterpret_cast<const char*>(s.begin()), s.size());
  }
  for (const char* service : {"facet.v1.Generation", "facet.v1.Models", "grpc.health.v1.Health"}) {
    EXPECT_THAT(bytes, HasSubstr(service));
  }
  context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  next();
}

TEST_F(ServingTest, MetricsCountWhatWasServed) {
  const ServerPorts& ports = cluster_->router_ports();
  const std::string ok = "facet_router_requests_total{code=\"OK\",method=\"Generate\"}";
  const double before = LocalCluster::Metric(ports, ok);
  const double tokens = LocalCluster::Metric(ports, "facet_router_generation_tokens_total");
  const double first = LocalCluster::Metric(ports, "facet_time_to_first_token_seconds_count");
  ASSERT_GE(before, 0);
  ASSERT_TRUE(Ask(GreedyRequest({2, 40}, 5)).status.ok());
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (LocalCluster::Metric(ports, ok) != before + 1 && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_EQ(LocalCluster::Metric(ports, ok), before + 1);
  EXPECT_EQ(LocalCluster::Metric(ports, "facet_router_generation_tokens_total"), tokens + 5);
  EXPECT_EQ(LocalCluster::Metric(ports, "facet_time_to_first_token_seconds_count"), first + 1);
  EXPECT_EQ(LocalCluster::Metric(ports, "facet_router_groups_ready"), 1);
  EXPECT_EQ(LocalCluster::Metric(ports, "facet_router_requests_in_flight"), 0);
}

TEST_F(ServingTest, EachRequestIsOneLineOfJsonWithoutItsText) {
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "find-this-line");
  const auto stub = v1::Generation::NewStub(cluster_->channel());
  const auto reader = stub->Generate(&context, TextRequest("a secret prompt", 3));
  v1::GenerateResponse message;
  while (reader->Read(&message)) {
  }
  ASSERT_TRUE(reader->Finish().ok());
  ASSERT_THAT(cluster_->router().WaitForOutput("\"find-this-line\"", absl::Seconds(10)), IsOk());
  const std::string output = cluster_->router().Output();
  EXPECT_FALSE(absl::StrContains(output, "secret"));
  nlohmann::json found;
  for (const absl::string_view line : absl::StrSplit(output, '\n')) {
    if (!absl::StrContains(line, "find-this-line")) continue;
    found = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  }
  ASSERT_TRUE(found.is_object());
  EXPECT_EQ(found["code"], "OK");
  EXPECT_EQ(found["completion_tokens"], 3);
  EXPECT_EQ(found["finish_reason"], "LENGTH");
}

TEST_F(ServingTest, ManyStreamsNeedNoThreadEach) {
  const double threads = LocalCluster::Metric(cluster_->router_ports(), "process_threads");
  ASSERT_GT(threads, 0);
  constexpr int kStreams = 64;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::GenerateResponse>>> readers;
  const auto stub = v1::Generation::NewStub(cluster_->channel());
  for (int i = 0; i < kStreams; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(stub->Generate(contexts.back().get(), GreedyRequest({2, 3 + i}, 500)));
  }
  v1::GenerateResponse message;
  for (auto& reader : readers) ASSERT_TRUE(reader->Read(&message) && message.has_start());
  EXPECT_LE(LocalCluster::Metric(cluster_->router_ports(), "process_threads"), threads + 16);
  for (auto& context : contexts) context->TryCancel();
  for (auto& reader : readers) {
    while (reader->Read(&message)) {
    }
    reader->Finish();
  }
  EXPECT_TRUE(LeaderMetricBecomes("facet_requests_running", 0));
}

}  // namespace
}  // namespace facet::testing
