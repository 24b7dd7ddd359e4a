#include "router/generation_call.h"

#include <atomic>
#include <condition_variable>

#include "base/retry_after.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/registry.h"
#include "router/testing/fake_shard_engine.h"
#include "router/testing/test_model.h"
#include "router/testing/wait_for.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using testing::FakeShardEngine;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::StatusIs;
using testing::WaitFor;

// What a caller gets, taken as it comes.
class Caller {
 public:
  explicit Caller(bool reads = true) : reads_(reads) {}

  std::function<void()> on_output() {
    return [this] {
      if (reads_) Take();
    };
  }
  void SetCall(std::shared_ptr<GenerationCall> call) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      call_ = std::move(call);
    }
    if (reads_) Take();
  }

  void Take() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (call_ == nullptr) return;
    for (;;) {
      v1::GenerateResponse message;
      const auto taken = call_->Take(&message, &status_);
      if (taken == GenerationCall::Taken::kNothing || ended_) return;
      if (taken == GenerationCall::Taken::kEnd) {
        ended_ = true;
        call_->Finalize();
        changed_.notify_all();
        return;
      }
      messages_.push_back(message);
      changed_.notify_all();
    }
  }

  // The status of the call, once it has ended.
  absl::Status Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(10), [this] { return ended_; })) {
      return absl::DeadlineExceededError("the call did not end");
    }
    return status_;
  }

  std::vector<v1::GenerateResponse> messages() {
    std::lock_guard<std::mutex> lock(mutex_);
    return messages_;
  }
  std::vector<int32_t> Tokens() {
    std::vector<int32_t> out;
    for (const auto& m : messages()) {
      out.insert(out.end(), m.delta().token_ids().begin(), m.delta().token_ids().end());
    }
    return out;
  }
  std::string Text() {
    std::string out;
    for (const auto& m : messages()) out += m.delta().text();
    return out;
  }
  v1::StreamEnd End() {
    const auto all = messages();
    return all.empty() ? v1::StreamEnd() : all.back().end();
  }

 private:
  const bool reads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<GenerationCall> call_;
  std::vector<v1::GenerateResponse> messages_;
  bool ended_ = false;
  absl::Status status_;
};

class GenerationCallTest : public ::testing::Test {
 protected:
  void StartDirectory(const std::vector<std::string>& addresses, bool wait_ready = true) {
    GroupDirectory::Options options;
    options.addresses.fixed = addresses;
    options.client.expected = {model_->config.model_type, model_->vocab_size(), ""};
    options.client.probe_interval = absl::Milliseconds(10);
    options.client.probe_timeout = absl::Seconds(2);
    options.client.min_backoff = absl::Milliseconds(5);
    options.client.max_backoff = absl::Milliseconds(50);
    options.context_length = model_->config.max_position_embeddings;
    directory_ = std::make_unique<GroupDirectory>(std::move(options), [](int, int) {});
    parts_.model = model_.get();
    parts_.validator = &validator_;
    parts_.prompts = &prompts_;
    parts_.groups = directory_.get();
    parts_.metrics = &metrics_;
    parts_.log = [this](const RequestRecord& record) {
      std::lock_guard<std::mutex> lock(log_mutex_);
      log_.push_back(record);
    };
    parts_.clock = [this] { return fake_time_ ? absl::FromUnixMillis(now_ms_) : absl::Now(); };
    if (!wait_ready) return;
    const int groups = static_cast<int>(addresses.size());
    ASSERT_TRUE(WaitFor([&] { return directory_->ready_groups() == groups; }));
  }

  std::shared_ptr<GenerationCall> Start(Caller& caller, const v1::GenerateRequest& request,
                                        absl::Time deadline = absl::InfiniteFuture()) {
    RequestContext context;
    context.request_id = "req-1";
    context.traceparent = "trace";
    context.arrival = parts_.clock();
    context.deadline = deadline;
    auto call = GenerationCall::Create(&parts_, context, *admission_.Admit(), caller.on_output());
    caller.SetCall(call);
    call->Start(request);
    return call;
  }

  static v1::GenerateRequest IdRequest(const std::vector<int32_t>& ids, int max_tokens) {
    v1::GenerateRequest request;
    for (const int32_t id : ids) request.mutable_prompt()->mutable_token_ids()->add_ids(id);
    request.mutable_stopping()->set_max_tokens(max_tokens);
    return request;
  }

  RequestRecord Logged() {
    std::lock_guard<std::mutex> lock(log_mutex_);
    return log_.empty() ? RequestRecord() : log_.back();
  }

  static uint64_t CountOf(const prometheus::Histogram& histogram) {
    return histogram.Collect().histogram.sample_count;
  }
  static double SumOf(const prometheus::Histogram& histogram) {
    return histogram.Collect().histogram.sample_sum;
  }

  std::unique_ptr<ServedModel> model_ = testing::MakeTestModel();
  RequestValidator validator_{model_.get(), RequestLimits()};
  PromptBuilder prompts_{model_.get()};
  prometheus::Registry registry_;
  RouterMetrics metrics_{registry_};
  Admission admission_{1000};
  RouterParts parts_;
  std::mutex log_mutex_;
  std::vector<RequestRecord> log_;
  std::atomic<bool> fake_time_{false};
  std::atomic<int64_t> now_ms_{1767225600000};
  std::unique_ptr<GroupDirectory> directory_;
};

TEST_F(GenerationCallTest, StreamsStartDeltasAndEnd) {
  FakeShardEngine engine(*model_, testing::CountUp());
  StartDirectory({engine.address()});
  Caller caller;
  Start(caller, IdRequest({10, 20, 30}, 5));
  ASSERT_THAT(caller.Wait(), IsOk());
  const auto messages = caller.messages();
  ASSERT_TRUE(messages.front().has_start());
  EXPECT_EQ(messages.front().start().request_id(), "req-1");
  EXPECT_EQ(messages.front().start().model(), "test-model");
  EXPECT_EQ(messages.front().start().prompt_tokens(), 3);
  EXPECT_EQ(caller.Tokens(), testing::CountUpTokens({30}, 5));
  ASSERT_TRUE(messages.back().has_end());
  EXPECT_EQ(caller.End().finish_reason(), v1::LENGTH);
  EXPECT_EQ(caller.End().usage().prompt_tokens(), 3);
  EXPECT_EQ(caller.End().usage().completion_tokens(), 5);
  EXPECT_EQ(Logged().status.code(), absl::StatusCode::kOk);
  EXPECT_EQ(Logged().finish_reason, "LENGTH");
  EXPECT_EQ(Logged().completion_tokens, 5);
  EXPECT_EQ(Logged().group, engine.address());
  EXPECT_EQ(admission_.in_flight(), 0);
}

TEST_F(GenerationCallTest, SendsTheResolvedRequest) {
  FakeShardEngine engine(*model_, testing::CountUp());
  StartDirectory({engine.address()});
  v1::GenerateRequest request = IdRequest({10, 20}, 2);
  request.mutable_sampling()->set_temperature(0.5);
  request.mutable_sampling()->set_seed(99);
  (*request.mutable_sampling()->mutable_logit_bias())[7] = -100;
  request.mutable_stopping()->set_ignore_eos(true);
  request.set_logprobs(3);
  request.set_priority(5);
  Caller caller;
  Start(caller, request, absl::Now() + absl::Seconds(30));
  ASSERT_THAT(caller.Wait(), IsOk());
  const internal::SubmitRequest sent = engine.WaitForSubmits(1).at(0);
  EXPECT_THAT(sent.prompt(), ElementsAre(10, 20));
  EXPECT_EQ(sent.request_id(), "req-1");
  EXPECT_EQ(sent.traceparent(), "trace");
  EXPECT_EQ(sent.sampling().temperature(), 0.5);
  EXPECT_EQ(sent.sampling().seed(), 99u);
  EXPECT_EQ(sent.sampling().logit_bias().at(7), -100);
  EXPECT_EQ(sent.stopping().max_tokens(), 2);
  EXPECT_TRUE(sent.stopping().ignore_eos());
  EXPECT_EQ(sent.stopping().end_token_ids_size(), 2);
  EXPECT_TRUE(sent.want_logprobs());
  EXPECT_EQ(sent.top_logprobs(), 3);
  EXPECT_EQ(sent.priority(), 5);
  EXPECT_GT(sent.timeout_ms(), 20000);
  EXPECT_LE(sent.timeout_ms(), 30000);
}

TEST_F(GenerationCallTest, AnInvalidRequestReachesNoGroup) {
  FakeShardEngine engine(*model_, testing::CountUp());
  StartDirectory({engine.address()});
  Caller caller;
  Start(caller, IdRequest(std::vector<int32_t>(65, 5), 1));
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kInvalidArgument,
                                      ::testing::AllOf(HasSubstr("65"), HasSubstr("64"))));
  EXPECT_THAT(caller.messages(), IsEmpty());
  EXPECT_EQ(Logged().status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(engine.WaitForSubmits(0), IsEmpty());
}

TEST_F(GenerationCallTest, AStopStringEndsTheRequestInTheGroupToo) {
  FakeShardEngine engine(*model_);
  StartDirectory({engine.address()});
  v1::GenerateRequest request = IdRequest({10}, 50);
  request.mutable_stopping()->add_stop("ab");
  Caller caller;
  Start(caller, request);
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  std::vector<int32_t> tokens;
  for (const std::string piece : {"x", "a", "b", "c"}) {
    tokens.push_back(model_->tokenizer->Encode(piece, {})->front());
  }
  for (const int32_t token : tokens) engine.Send(id, {token});
  ASSERT_THAT(caller.Wait(), IsOk());
  EXPECT_EQ(caller.Text(), "x");
  EXPECT_EQ(caller.End().finish_reason(), v1::STOP_SEQUENCE);
  EXPECT_EQ(caller.End().matched_stop(), "ab");
  EXPECT_EQ(caller.End().usage().completion_tokens(), 3);
  EXPECT_THAT(engine.WaitForCancels(1), ElementsAre(id));
  EXPECT_EQ(directory_->ready_groups(), 1);
}

TEST_F(GenerationCallTest, ACancelReachesTheGroup) {
  FakeShardEngine engine(*model_);
  StartDirectory({engine.address()});
  Caller caller;
  const auto call = Start(caller, IdRequest({10}, 50));
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  engine.Send(id, {11});
  ASSERT_TRUE(WaitFor([&] { return caller.Tokens().size() == 1; }));
  call->Cancel(absl::CancelledError("the caller is gone"));
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(engine.WaitForCancels(1), ElementsAre(id));
  EXPECT_EQ(metrics_.requests_in_flight.Value(), 0);
  call->Cancel(absl::CancelledError("again"));
}

TEST_F(GenerationCallTest, AnErrorOfTheGroupIsTheCallersStatus) {
  FakeShardEngine engine(*model_);
  StartDirectory({engine.address()});
  Caller caller;
  Start(caller, IdRequest({10}, 50));
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  engine.Send(id, {11});
  engine.SendError(id, absl::StatusCode::kDeadlineExceeded, "too late");
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kDeadlineExceeded, "too late"));
  EXPECT_THAT(caller.Tokens(), ElementsAre(11));
}

TEST_F(GenerationCallTest, AFullQueueSaysWhenToComeAgain) {
  FakeShardEngine engine(*model_);
  StartDirectory({engine.address()});
  Caller caller;
  Start(caller, IdRequest({10}, 50));
  engine.SendError(engine.WaitForSubmits(1).at(0).id(), absl::StatusCode::kResourceExhausted,
                   "the queue is full", 250);
  const absl::Status status = caller.Wait();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, "the queue is full"));
  EXPECT_EQ(RetryAfter(status), absl::Milliseconds(250));
}

TEST_F(GenerationCallTest, ARequestWithoutTokensMovesToAnotherGroup) {
  auto lost = std::make_unique<FakeShardEngine>(*model_);
  FakeShardEngine other(*model_, testing::CountUp());
  StartDirectory({lost->address(), other.address()});
  // Requests until one is on the group that answers nothing.
  Caller caller;
  std::vector<std::unique_ptr<Caller>> others;
  while (lost->WaitForSubmits(0).empty()) {
    others.push_back(std::make_unique<Caller>());
    Start(*others.back(), IdRequest({10, 20}, 4));
    WaitFor([&] { return !lost->WaitForSubmits(0).empty(); }, absl::Milliseconds(50));
  }
  Caller& moved = *others.back();
  const uint64_t seed = lost->WaitForSubmits(1).at(0).sampling().seed();
  lost->Stop();
  EXPECT_THAT(moved.Wait(), IsOk());
  EXPECT_EQ(moved.Tokens(), testing::CountUpTokens({20}, 4));
  EXPECT_EQ(other.WaitForSubmits(1).back().sampling().seed(), seed);
  EXPECT_EQ(metrics_.retries.Value(), 1);
  int starts = 0;
  for (const auto& m : moved.messages()) starts += m.has_start() ? 1 : 0;
  EXPECT_EQ(starts, 1);
}

TEST_F(GenerationCallTest, ARequestWithTokensIsNotRepeated) {
  FakeShardEngine a(*model_), b(*model_);
  StartDirectory({a.address(), b.address()});
  Caller caller;
  Start(caller, IdRequest({10}, 50));
  ASSERT_TRUE(
      WaitFor([&] { return a.WaitForSubmits(0).size() + b.WaitForSubmits(0).size() == 1; }));
  FakeShardEngine& has_it = a.WaitForSubmits(0).empty() ? b : a;
  FakeShardEngine& free = a.WaitForSubmits(0).empty() ? a : b;
  has_it.Send(has_it.WaitForSubmits(1).at(0).id(), {11});
  ASSERT_TRUE(WaitFor([&] { return caller.Tokens().size() == 1; }));
  has_it.CutStreams();
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr(has_it.address())));
  EXPECT_THAT(caller.Tokens(), ElementsAre(11));
  EXPECT_THAT(free.WaitForSubmits(0), IsEmpty());
}

TEST_F(GenerationCallTest, ARequestMovesOnlyOnce) {
  const auto refuse = [](FakeShardEngine& engine, const internal::SubmitRequest& request) {
    engine.SendError(request.id(), absl::StatusCode::kUnavailable, "draining");
  };
  FakeShardEngine a(*model_, refuse), b(*model_, refuse), c(*model_, refuse);
  StartDirectory({a.address(), b.address(), c.address()});
  Caller caller;
  Start(caller, IdRequest({10}, 50));
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kUnavailable, "draining"));
  EXPECT_EQ(Logged().attempts, 2);
}

TEST_F(GenerationCallTest, TheOnlyGroupsFailureIsToldAsItIs) {
  FakeShardEngine engine(*model_);
  StartDirectory({engine.address()});
  Caller caller;
  Start(caller, IdRequest({10}, 50));
  engine.WaitForSubmits(1);
  engine.CutStreams();
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("was lost")));
}

TEST_F(GenerationCallTest, WithoutAReadyGroupTheCallIsUnavailableAtOnce) {
  StartDirectory({"127.0.0.1:1"}, /*wait_ready=*/false);
  Caller caller;
  Start(caller, IdRequest({10}, 50));
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no shard group")));
}

TEST_F(GenerationCallTest, OrWaitsForOneAsLongAsItMay) {
  FakeShardEngine engine(*model_, testing::CountUp());
  engine.SetServing(false);
  parts_.wait_for_group = absl::Milliseconds(30);
  StartDirectory({engine.address()}, /*wait_ready=*/false);
  Caller impatient;
  Start(impatient, IdRequest({10}, 5));
  EXPECT_THAT(impatient.Wait(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(metrics_.requests_waiting_for_group.Value(), 0);

  parts_.wait_for_group = absl::Seconds(60);
  Caller patient, expired;
  Start(patient, IdRequest({10}, 5));
  Start(expired, IdRequest({10}, 5), absl::Now() + absl::Milliseconds(30));
  EXPECT_THAT(expired.Wait(), StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(metrics_.requests_waiting_for_group.Value(), 1);
  engine.SetServing(true);
  EXPECT_THAT(patient.Wait(), IsOk());
  EXPECT_EQ(patient.Tokens().size(), 5u);
}

TEST_F(GenerationCallTest, ACallerThatReadsSlowlyGetsFewerLargerDeltas) {
  FakeShardEngine engine(*model_);
  StartDirectory({engine.address()});
  Caller caller(/*reads=*/false);
  Start(caller, IdRequest({10}, 50));
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  for (int i = 0; i < 20; ++i) engine.Send(id, {i});
  engine.Send(id, {20}, internal::Finish::LENGTH);
  ASSERT_TRUE(WaitFor([&] { return CountOf(metrics_.inter_token_latency_seconds) == 20; }));
  caller.Take();
  ASSERT_THAT(caller.Wait(), IsOk());
  EXPECT_EQ(caller.messages().size(), 3u);  // start, one delta, end
  EXPECT_EQ(caller.Tokens().size(), 21u);
}

TEST_F(GenerationCallTest, ACallerThatDoesNotReadLosesItsRequest) {
  FakeShardEngine engine(*model_);
  parts_.max_buffered_tokens = 10;
  StartDirectory({engine.address()});
  Caller caller(/*reads=*/false);
  Start(caller, IdRequest({10}, 50));
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  for (int i = 0; i < 11; ++i) engine.Send(id, {i});
  EXPECT_THAT(engine.WaitForCancels(1), ElementsAre(id));
  caller.Take();
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("slowly")));
}

// Four tokens every 40 ms: 10 ms a token, 40 ms between messages.
TEST_F(GenerationCallTest, LatenciesAreMeasuredByMessageAndByToken) {
  FakeShardEngine engine(*model_);
  fake_time_ = true;
  StartDirectory({engine.address()});
  Caller caller;
  Start(caller, IdRequest({10}, 40));
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  now_ms_ += 100;
  for (int message = 0; message < 10; ++message) {
    if (message > 0) now_ms_ += 40;
    engine.Send(id, {1, 2, 3, 4},
                message == 9 ? internal::Finish::LENGTH : internal::Finish::REASON_UNSPECIFIED);
    const size_t want = 4u * static_cast<size_t>(message + 1);
    ASSERT_TRUE(WaitFor([&] { return caller.Tokens().size() == want; }));
  }
  ASSERT_THAT(caller.Wait(), IsOk());
  EXPECT_EQ(CountOf(metrics_.time_to_first_token_seconds), 1u);
  EXPECT_NEAR(SumOf(metrics_.time_to_first_token_seconds), 0.1, 1e-6);
  EXPECT_EQ(CountOf(metrics_.inter_token_latency_seconds), 9u);
  EXPECT_NEAR(SumOf(metrics_.inter_token_latency_seconds), 9 * 0.040, 1e-6);
  EXPECT_EQ(CountOf(metrics_.time_per_output_token_seconds), 1u);
  EXPECT_NEAR(SumOf(metrics_.time_per_output_token_seconds), 0.010, 1e-6);
  EXPECT_NEAR(SumOf(metrics_.request_duration_seconds), 0.1 + 9 * 0.040, 1e-6);
  EXPECT_NEAR(caller.End().timings().time_to_first_token_seconds(), 0.1, 1e-6);
  EXPECT_EQ(metrics_.generation_tokens.Value(), 40);
  EXPECT_EQ(metrics_.prompt_tokens.Value(), 1);
}

// A stream at one token a second for ten minutes and more: nothing in the router gives up on it.
TEST_F(GenerationCallTest, AVeryLongStreamCompletes) {
  FakeShardEngine engine(*model_);
  fake_time_ = true;
  StartDirectory({engine.address()});
  Caller caller;
  Start(caller, IdRequest({10}, 60));
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  for (size_t i = 1; i <= 60; ++i) {
    now_ms_ += 15000;
    engine.Send(id, {5}, i == 60 ? internal::Finish::LENGTH : internal::Finish::REASON_UNSPECIFIED);
    ASSERT_TRUE(WaitFor([&] { return caller.Tokens().size() == i; }));
  }
  EXPECT_THAT(caller.Wait(), IsOk());
  EXPECT_NEAR(caller.End().timings().total_seconds(), 900, 1e-6);
}

TEST_F(GenerationCallTest, EveryHistogramCountsEveryRequest) {
  FakeShardEngine engine(*model_, testing::CountUp());
  StartDirectory({engine.address()});
  for (int i = 0; i < 10; ++i) {
    v1::GenerateRequest request;
    request.mutable_prompt()->set_text("hello");
    request.mutable_stopping()->set_max_tokens(3);
    Caller caller;
    Start(caller, request);
    ASSERT_THAT(caller.Wait(), IsOk());
  }
  EXPECT_EQ(CountOf(metrics_.tokenize_seconds), 10u);
  EXPECT_EQ(CountOf(metrics_.time_to_first_token_seconds), 10u);
  EXPECT_EQ(CountOf(metrics_.inter_token_latency_seconds), 20u);
  EXPECT_EQ(CountOf(metrics_.time_per_output_token_seconds), 10u);
  EXPECT_EQ(CountOf(metrics_.request_duration_seconds), 10u);
}

}  // namespace
}  // namespace facet
