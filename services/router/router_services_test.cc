// The public services over a real gRPC server, with shard groups that follow a script.

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "proto/facet/v1/generation.grpc.pb.h"
#include "proto/facet/v1/models.grpc.pb.h"
#include "router/router.h"
#include "router/testing/fake_shard_engine.h"
#include "router/testing/test_model.h"
#include "router/testing/wait_for.h"
#include "services/router/generation_service.h"
#include "services/router/models_service.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using testing::FakeShardEngine;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::WaitFor;

constexpr char kTrace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

std::string Value(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
                  const std::string& key) {
  const auto it = metadata.find(key);
  return it == metadata.end() ? "" : std::string(it->second.data(), it->second.size());
}

// What one call brought.
struct Answer {
  grpc::Status status;
  v1::StreamStart start;
  std::vector<int32_t> tokens;
  std::string text;
  v1::StreamEnd end;
};

class RouterServicesTest : public ::testing::Test {
 protected:
  ~RouterServicesTest() override {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
  }

  void Serve(const std::vector<std::string>& groups,
             const std::function<void(Router::Options&)>& change = nullptr) {
    Router::Options options;
    options.model = testing::MakeTestModel();
    options.groups.fixed = groups;
    options.connection.probe_interval = absl::Milliseconds(10);
    options.connection.min_backoff = absl::Milliseconds(5);
    options.tokenizer_threads = 2;
    options.log = [this](const RequestRecord& record) {
      std::lock_guard<std::mutex> lock(log_mutex_);
      log_.push_back(record);
    };
    if (change) change(options);
    auto router = Router::Create(std::move(options), registry_, [](int, int) {});
    ASSERT_THAT(router, IsOk());
    router_ = *std::move(router);
    generation_ = std::make_unique<GenerationService>(router_.get());
    models_ = std::make_unique<ModelsService>(router_.get());
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(generation_.get());
    builder.RegisterService(models_.get());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(port_),
                                   grpc::InsecureChannelCredentials());
    stub_ = v1::Generation::NewStub(channel_);
    const int want = static_cast<int>(groups.size());
    ASSERT_TRUE(WaitFor([&] { return router_->Describe().ready_groups() == want; }));
  }

  static v1::GenerateRequest IdRequest(const std::vector<int32_t>& ids, int max_tokens) {
    v1::GenerateRequest request;
    for (const int32_t id : ids) request.mutable_prompt()->mutable_token_ids()->add_ids(id);
    request.mutable_stopping()->set_max_tokens(max_tokens);
    return request;
  }

  // A call that has been sent and not been read.
  struct Call {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientReader<v1::GenerateResponse>> reader;
  };
  std::vector<Call> Begin(int count, int max_tokens) {
    std::vector<Call> calls;
    for (int i = 0; i < count; ++i) {
      auto context = std::make_unique<grpc::ClientContext>();
      context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(40));
      auto reader = stub_->Generate(context.get(), IdRequest({i % 90}, max_tokens));
      calls.push_back({std::move(context), std::move(reader)});
    }
    return calls;
  }

  static Answer ReadAll(grpc::ClientReader<v1::GenerateResponse>& reader) {
    Answer answer;
    v1::GenerateResponse message;
    while (reader.Read(&message)) {
      if (message.has_start()) answer.start = message.start();
      if (message.has_end()) answer.end = message.end();
      answer.tokens.insert(answer.tokens.end(), message.delta().token_ids().begin(),
                           message.delta().token_ids().end());
      answer.text += message.delta().text();
    }
    answer.status = reader.Finish();
    return answer;
  }

  Answer Generate(grpc::ClientContext* context, const v1::GenerateRequest& request) {
    return ReadAll(*stub_->Generate(context, request));
  }

  Answer Generate(const v1::GenerateRequest& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    return Generate(&context, request);
  }

  std::vector<RequestRecord> Logged() {
    std::lock_guard<std::mutex> lock(log_mutex_);
    return log_;
  }
  bool WaitForLog(size_t lines) {
    return WaitFor([&] { return Logged().size() >= lines; });
  }

  double Gauge(const std::string& name) {
    for (const auto& family : registry_.Collect()) {
      if (family.name == name) return family.metric[0].gauge.value;
    }
    return -1;
  }
  // Messages with tokens that the router has taken from its groups.
  uint64_t MessagesTaken() {
    uint64_t count = 0;
    for (const auto& family : registry_.Collect()) {
      if (family.name == "facet_time_to_first_token_seconds" ||
          family.name == "facet_inter_token_latency_seconds") {
        count += family.metric[0].histogram.sample_count;
      }
    }
    return count;
  }

  // Sends tokens of one request, message by message, until the router pauses it; how many it sent.
  int64_t SendUntilPaused(FakeShardEngine& engine, uint64_t id, int32_t token) {
    constexpr int kTokens = 64;
    for (int64_t message = 1; message < 5000; ++message) {
      const uint64_t taken = MessagesTaken();
      engine.Send(id, std::vector<int32_t>(kTokens, token));
      EXPECT_TRUE(WaitFor([&] { return MessagesTaken() > taken; }));
      // The pause follows the message that made it necessary.
      if (Counter("facet_router_reader_pauses_total") > 0) return message * kTokens;
    }
    return 0;
  }

  double Counter(const std::string& name) {
    for (const auto& family : registry_.Collect()) {
      if (family.name == name) return family.metric[0].counter.value;
    }
    return -1;
  }
  double InFlight() { return Gauge("facet_router_requests_in_flight"); }

  // A stub of its own connection, with HTTP/2's least windows: what it does not read soon stops the
  // router's writes.
  std::unique_ptr<v1::Generation::Stub> NarrowStub() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    return v1::Generation::NewStub(grpc::CreateCustomChannel(
        "127.0.0.1:" + std::to_string(port_), grpc::InsecureChannelCredentials(), arguments));
  }

  prometheus::Registry registry_;
  std::mutex log_mutex_;
  std::vector<RequestRecord> log_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<GenerationService> generation_;
  std::unique_ptr<ModelsService> models_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Generation::Stub> stub_;
  const std::unique_ptr<ServedModel> model_ = testing::MakeTestModel();
};

TEST_F(RouterServicesTest, EchoesAndPassesOnRequestIdAndTrace) {
  FakeShardEngine engine(*model_, testing::CountUp());
  Serve({engine.address()});
  grpc::ClientContext context;
  context.AddMetadata("x-request-id", "my-id");
  context.AddMetadata("traceparent", kTrace);
  const Answer answer = Generate(&context, IdRequest({10}, 3));
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(Value(context.GetServerInitialMetadata(), "x-request-id"), "my-id");
  EXPECT_EQ(Value(context.GetServerInitialMetadata(), "traceparent"), kTrace);
  EXPECT_EQ(answer.start.request_id(), "my-id");
  const internal::SubmitRequest sent = engine.WaitForSubmits(1).at(0);
  EXPECT_EQ(sent.request_id(), "my-id");
  EXPECT_EQ(sent.traceparent(), kTrace);
  ASSERT_TRUE(WaitForLog(1));
  EXPECT_EQ(Logged()[0].context.request_id, "my-id");
}

TEST_F(RouterServicesTest, MakesARequestIdWhereThereIsNone) {
  FakeShardEngine engine(*model_, testing::CountUp());
  Serve({engine.address()});
  grpc::ClientContext context;
  context.AddMetadata("traceparent", "nonsense");
  const Answer answer = Generate(&context, IdRequest({10}, 3));
  EXPECT_EQ(answer.start.request_id().size(), 32u);
  EXPECT_EQ(Value(context.GetServerInitialMetadata(), "x-request-id"), answer.start.request_id());
  EXPECT_EQ(Value(context.GetServerInitialMetadata(), "traceparent"), "");
  EXPECT_EQ(engine.WaitForSubmits(1).at(0).traceparent(), "");
}

TEST_F(RouterServicesTest, AnswersTextWithText) {
  const std::string reply = "Grüße 👋!";
  const std::vector<int32_t> ids = *model_->tokenizer->Encode(reply, {});
  FakeShardEngine engine(
      *model_, [ids](FakeShardEngine& engine, const internal::SubmitRequest& request) {
        for (const int32_t id : ids) engine.Send(request.id(), {id});
        engine.Send(request.id(), {request.stopping().end_token_ids(0)}, internal::Finish::STOP);
      });
  Serve({engine.address()});
  v1::GenerateRequest request;
  request.mutable_prompt()->set_text("hello");
  const Answer answer = Generate(request);
  ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.text, reply);
  EXPECT_EQ(answer.end.finish_reason(), v1::STOP);
  EXPECT_EQ(answer.tokens.size(), ids.size() + 1);
  EXPECT_EQ(answer.end.usage().completion_tokens(), static_cast<int>(ids.size()) + 1);
}

// Nothing else happens on the connection, which would send what is held back.
TEST_F(RouterServicesTest, AnAnswerThatIsThereAtOnceIsSentAtOnce) {
  FakeShardEngine engine(*model_,
                         [](FakeShardEngine& engine, const internal::SubmitRequest& request) {
                           internal::EngineFrame frame;
                           internal::SequenceOutput* output = frame.add_outputs();
                           output->set_id(request.id());
                           output->mutable_started()->set_cached_tokens(0);
                           for (int i = 0; i < 3; ++i) output->add_tokens()->set_token_id(i);
                           output->mutable_finish()->set_reason(internal::Finish::LENGTH);
                           engine.SendFrame(frame);
                         });
  Serve({engine.address()});
  for (int i = 0; i < 20; ++i) {
    const Answer answer = Generate(IdRequest({10}, 3));
    ASSERT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_THAT(answer.tokens, ElementsAre(0, 1, 2));
    EXPECT_EQ(answer.end.finish_reason(), v1::LENGTH);
  }
}

TEST_F(RouterServicesTest, AClientThatCancelsFreesItsPlaceInTheGroup) {
  FakeShardEngine engine(*model_);
  Serve({engine.address()});
  grpc::ClientContext context;
  const auto reader = stub_->Generate(&context, IdRequest({10}, 50));
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  engine.Send(id, {11});
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message) && message.has_start());
  ASSERT_TRUE(reader->Read(&message) && message.has_delta());
  const absl::Time cancelled = absl::Now();
  context.TryCancel();
  EXPECT_THAT(engine.WaitForCancels(1), ElementsAre(id));
  EXPECT_LE(absl::Now() - cancelled, absl::Seconds(5));  // a bound for a loaded machine
  EXPECT_FALSE(reader->Read(&message));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  ASSERT_TRUE(WaitForLog(1));
  EXPECT_EQ(Logged()[0].status.code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(WaitFor([&] { return InFlight() == 0; }));
}

TEST_F(RouterServicesTest, ADeadlineEndsTheRequestInTheGroup) {
  FakeShardEngine engine(*model_);
  Serve({engine.address()});
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(300));
  const Answer answer = Generate(&context, IdRequest({10}, 50));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  const auto submits = engine.WaitForSubmits(1);
  ASSERT_EQ(submits.size(), 1u);
  EXPECT_GT(submits[0].timeout_ms(), 0);
  EXPECT_LE(submits[0].timeout_ms(), 310);  // gRPC rounds it up on the wire
  EXPECT_EQ(engine.WaitForCancels(1).size(), 1u);
  ASSERT_TRUE(WaitForLog(1));
  EXPECT_EQ(Logged()[0].status.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(RouterServicesTest, AClientThatLeavesWhileItWaitsForAGroupIsForgottenAtOnce) {
  FakeShardEngine engine(*model_);
  Serve({engine.address()},
        [](Router::Options& options) { options.wait_for_group = absl::Seconds(60); });
  engine.SetServing(false);
  ASSERT_TRUE(WaitFor([&] { return router_->Describe().ready_groups() == 0; }));
  grpc::ClientContext context;
  const auto reader = stub_->Generate(&context, IdRequest({10}, 50));
  ASSERT_TRUE(WaitFor([&] { return Gauge("facet_router_requests_waiting_for_group") == 1; }));
  context.TryCancel();
  EXPECT_TRUE(WaitFor([&] { return Gauge("facet_router_requests_waiting_for_group") == 0; }));
  EXPECT_TRUE(WaitFor([&] { return InFlight() == 0; }));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_THAT(engine.WaitForSubmits(0), IsEmpty());
}

TEST_F(RouterServicesTest, AClientThatDoesNotReadIsPausedWhileAnotherStreams) {
  FakeShardEngine engine(*model_);
  Serve({engine.address()}, [](Router::Options& options) { options.max_buffered_tokens = 512; });
  const auto narrow = NarrowStub();
  grpc::ClientContext slow_context, quick_context;
  const auto slow = narrow->Generate(&slow_context, IdRequest({10}, 50));
  const uint64_t slow_id = engine.WaitForSubmits(1).at(0).id();
  const auto quick = stub_->Generate(&quick_context, IdRequest({11}, 50));
  const uint64_t quick_id = engine.WaitForSubmits(2).at(1).id();
  const int32_t token = model_->tokenizer->Encode("a", {})->front();
  const int64_t sent = SendUntilPaused(engine, slow_id, token);
  ASSERT_GT(sent, 512);
  ASSERT_EQ(engine.WaitForPauses(1).size(), 1u);
  EXPECT_EQ(engine.WaitForPauses(1)[0].id(), slow_id);
  EXPECT_TRUE(engine.WaitForPauses(1)[0].paused());
  // The other one gets every token while this one stands still.
  v1::GenerateResponse message;
  int got = 0;
  for (int i = 0; i < 20; ++i) {
    engine.Send(quick_id, {token});
    while (got <= i && quick->Read(&message)) got += message.delta().token_ids_size();
    ASSERT_EQ(got, i + 1);
  }
  EXPECT_EQ(engine.WaitForPauses(0).size(), 1u);
  // It reads again, and loses nothing.
  int64_t slow_tokens = 0;
  while (slow_tokens < sent && slow->Read(&message)) {
    slow_tokens += message.delta().token_ids_size();
  }
  ASSERT_EQ(engine.WaitForPauses(2).size(), 2u);
  EXPECT_FALSE(engine.WaitForPauses(2)[1].paused());
  engine.Send(slow_id, {token}, internal::Finish::LENGTH);
  v1::StreamEnd end;
  while (slow->Read(&message)) {
    slow_tokens += message.delta().token_ids_size();
    if (message.has_end()) end = message.end();
  }
  EXPECT_TRUE(slow->Finish().ok());
  EXPECT_EQ(end.usage().completion_tokens(), slow_tokens);
  EXPECT_EQ(slow_tokens, sent + 1);
  quick_context.TryCancel();
}

TEST_F(RouterServicesTest, AClientThatNeverReadsIsCutOffAndGivesBackItsPlace) {
  FakeShardEngine engine(*model_);
  Serve({engine.address()}, [](Router::Options& options) {
    options.max_buffered_tokens = 64;
    options.max_read_pause = absl::Milliseconds(200);
  });
  const auto narrow = NarrowStub();
  grpc::ClientContext context;
  const auto reader = narrow->Generate(&context, IdRequest({10}, 50));
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  SendUntilPaused(engine, id, model_->tokenizer->Encode("a", {})->front());
  EXPECT_THAT(engine.WaitForCancels(1), ElementsAre(id));
  ASSERT_TRUE(WaitForLog(1));
  EXPECT_EQ(Logged()[0].status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(Logged()[0].status.message()), HasSubstr("reads too slowly"));
  EXPECT_TRUE(WaitFor([&] { return InFlight() == 0; }));
  v1::GenerateResponse message;
  while (reader->Read(&message)) {
  }
  EXPECT_FALSE(reader->Finish().ok());
}

TEST_F(RouterServicesTest, AFullRouterSaysWhenToComeAgain) {
  FakeShardEngine engine(*model_);
  Serve({engine.address()}, [](Router::Options& options) { options.max_requests = 2; });
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::GenerateResponse>>> readers;
  for (int i = 0; i < 2; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    readers.push_back(stub_->Generate(contexts.back().get(), IdRequest({10}, 50)));
  }
  ASSERT_EQ(engine.WaitForSubmits(2).size(), 2u);
  grpc::ClientContext context;
  const Answer answer = Generate(&context, IdRequest({10}, 50));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(answer.status.error_message(), HasSubstr("full"));
  const std::string after = Value(context.GetServerTrailingMetadata(), "retry-after-ms");
  EXPECT_GE(std::stoi("0" + after), 50);
  EXPECT_EQ(Value(context.GetServerTrailingMetadata(), "grpc-retry-pushback-ms"), after);
  contexts[0]->TryCancel();
  ASSERT_TRUE(WaitFor([&] { return InFlight() == 1; }));
  grpc::ClientContext next;
  const auto reader = stub_->Generate(&next, IdRequest({10}, 50));
  EXPECT_EQ(engine.WaitForSubmits(3).size(), 3u);
  next.TryCancel();
  contexts[1]->TryCancel();
}

// With a stream_interval of so many ms.
class ManyStreamsTest : public RouterServicesTest, public ::testing::WithParamInterface<int> {};

TEST_P(ManyStreamsTest, AHundredAtTheSameTimeKeepApart) {
  // The groups answer nothing until all hundred are there: they do run at the same time.
  std::atomic<int> waiting{0};
  const auto count = [&waiting](FakeShardEngine&, const internal::SubmitRequest&) { ++waiting; };
  FakeShardEngine a(*model_, count), b(*model_, count);
  Serve({a.address(), b.address()},
        [](Router::Options& o) { o.stream_interval = absl::Milliseconds(GetParam()); });
  constexpr int kStreams = 100;
  const std::vector<Call> calls = Begin(kStreams, /*max_tokens=*/8);
  EXPECT_TRUE(WaitFor([&] { return waiting == kStreams; }));
  const auto answer_all = [](FakeShardEngine& engine) {
    const auto requests = engine.WaitForSubmits(0);
    for (int step = 0; step < 8; ++step) {  // a message a step, for all of them
      internal::EngineFrame frame;
      for (const auto& request : requests) {
        internal::SequenceOutput* output = frame.add_outputs();
        output->set_id(request.id());
        output->add_tokens()->set_token_id((request.prompt(0) + step + 1) % 100);
        if (step == 7) output->mutable_finish()->set_reason(internal::Finish::LENGTH);
      }
      engine.SendFrame(frame);
    }
  };
  answer_all(a);
  answer_all(b);
  for (int i = 0; i < kStreams; ++i) {
    const Answer answer = ReadAll(*calls[static_cast<size_t>(i)].reader);
    EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
    EXPECT_EQ(answer.tokens, testing::CountUpTokens({i % 90}, 8)) << i;
  }
  EXPECT_EQ(a.WaitForSubmits(0).size(), 50u);  // evenly
  EXPECT_TRUE(WaitFor([&] { return InFlight() == 0; }));
  EXPECT_TRUE(WaitForLog(kStreams));
}

INSTANTIATE_TEST_SUITE_P(Intervals, ManyStreamsTest, ::testing::Values(0, 1, 20));

TEST_F(RouterServicesTest, AGroupLostUnderLoadFailsOnlyWhatHadTokens) {
  auto dying = std::make_unique<FakeShardEngine>(*model_);
  FakeShardEngine healthy(*model_, testing::CountUp());
  Serve({dying->address(), healthy.address()});
  constexpr int kStreams = 40;
  const std::vector<Call> calls = Begin(kStreams, /*max_tokens=*/6);
  // Half of its requests have a token when it dies. (How many it got depends on timing.)
  ASSERT_FALSE(dying->WaitForSubmits(1).empty());
  ASSERT_TRUE(WaitFor([&] {
    return dying->WaitForSubmits(0).size() + healthy.WaitForSubmits(0).size() == kStreams;
  }));
  const auto requests = dying->WaitForSubmits(0);
  std::set<int> with_token;
  for (size_t i = 0; i < requests.size(); i += 2) {
    dying->Send(requests[i].id(), {99});
    with_token.insert(requests[i].prompt(0));
  }
  ASSERT_TRUE(WaitFor([&] {
    double first_tokens = 0;
    for (const auto& family : registry_.Collect()) {
      if (family.name == "facet_time_to_first_token_seconds") {
        first_tokens = static_cast<double>(family.metric[0].histogram.sample_count);
      }
    }
    return first_tokens >= static_cast<double>(with_token.size() + kStreams - requests.size());
  }));
  dying.reset();
  for (int i = 0; i < kStreams; ++i) {
    const Answer answer = ReadAll(*calls[static_cast<size_t>(i)].reader);
    if (with_token.count(i) > 0) {
      EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::UNAVAILABLE);
      EXPECT_THAT(answer.tokens, ElementsAre(99));
    } else {
      EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
      EXPECT_EQ(answer.tokens, testing::CountUpTokens({i}, 6));
    }
  }
  EXPECT_TRUE(WaitFor([&] { return InFlight() == 0; }));
}

TEST_F(RouterServicesTest, AMegabyteOfTextIsTooLongForTheContextWithBothNumbers) {
  FakeShardEngine engine(*model_);
  Serve({engine.address()});
  v1::GenerateRequest request;
  request.mutable_prompt()->set_text(std::string(1 << 20, 'x'));
  const Answer answer = Generate(request);
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(answer.status.error_message(), HasSubstr("at most 64"));
  EXPECT_THAT(engine.WaitForSubmits(0), IsEmpty());
}

TEST_F(RouterServicesTest, TextCallsAnswerAndAreLogged) {
  FakeShardEngine engine(*model_);
  Serve({engine.address()});
  v1::TokenizeRequest request;
  request.set_text("hi");
  v1::TokenizeResponse response;
  grpc::ClientContext context, bad_context;
  EXPECT_TRUE(stub_->Tokenize(&context, request, &response).ok());
  EXPECT_GT(response.token_ids_size(), 0);
  EXPECT_EQ(Value(context.GetServerInitialMetadata(), "x-request-id").size(), 32u);
  request.set_model("other");
  EXPECT_EQ(stub_->Tokenize(&bad_context, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
  ASSERT_TRUE(WaitForLog(2));
  EXPECT_EQ(Logged()[0].method, "Tokenize");
  EXPECT_EQ(Logged()[1].status.code(), absl::StatusCode::kNotFound);
}

TEST_F(RouterServicesTest, ModelsAreListedAndFoundByName) {
  FakeShardEngine engine(*model_);
  Serve({engine.address()});
  const auto models = v1::Models::NewStub(channel_);
  grpc::ClientContext list_context, get_context, missing_context;
  v1::ListModelsResponse list;
  ASSERT_TRUE(models->ListModels(&list_context, v1::ListModelsRequest(), &list).ok());
  ASSERT_EQ(list.models_size(), 1);
  EXPECT_EQ(list.models(0).name(), "test-model");
  EXPECT_EQ(list.models(0).ready_groups(), 1);
  v1::GetModelRequest request;
  request.set_name("test-model");
  v1::Model model;
  ASSERT_TRUE(models->GetModel(&get_context, request, &model).ok());
  EXPECT_EQ(model.context_length(), testing::kTestContextLength);
  request.set_name("other");
  const grpc::Status missing = models->GetModel(&missing_context, request, &model);
  EXPECT_EQ(missing.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(missing.error_message(), HasSubstr("test-model"));
}

// Deltas, cancels, deadlines and lost streams at random, for a while: everything is given back.
TEST_F(RouterServicesTest, EverythingIsGivenBackAfterAStorm) {
  std::atomic<uint32_t> counter{0};
  const auto erratic = [&counter](FakeShardEngine& engine, const internal::SubmitRequest& request) {
    const uint32_t n = counter++;
    if (n % 7 == 3) return;  // never answers
    engine.Send(request.id(), {1});
    if (n % 11 == 5) engine.CutStreams();
    engine.Send(request.id(), {2, 3},
                n % 5 == 0 ? internal::Finish::REASON_UNSPECIFIED : internal::Finish::LENGTH);
  };
  FakeShardEngine a(*model_, erratic), b(*model_, erratic);
  Serve({a.address(), b.address()},
        [](Router::Options& options) { options.wait_for_group = absl::Milliseconds(200); });
  std::vector<std::thread> callers;
  std::atomic<int> ended{0};
  for (int t = 0; t < 8; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        grpc::ClientContext context;
        context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(150));
        const auto reader = stub_->Generate(&context, IdRequest({t}, 3));
        v1::GenerateResponse message;
        if (i % 3 == 0) context.TryCancel();
        while (reader->Read(&message)) {
        }
        reader->Finish();
        ++ended;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(ended, 200);
  EXPECT_TRUE(WaitFor([&] { return InFlight() == 0; })) << InFlight();
  EXPECT_TRUE(WaitFor([&] { return router_->Describe().ready_groups() == 2; }));
}

}  // namespace
}  // namespace facet
