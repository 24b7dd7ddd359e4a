#include "router/generation_call.h"

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <numeric>
#include <set>

#include "base/retry_after.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/registry.h"
#include "router/generate_work.h"
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
  explicit Caller(bool reads = true) : reads_(reads), self_(std::make_shared<Self>(this)) {}
  ~Caller() {
    std::lock_guard<std::mutex> lock(self_->mutex);
    self_->caller = nullptr;
  }

  // A call may say that there is something new when its caller has read the end already, and gone.
  std::function<void()> on_output() {
    return [self = self_] {
      std::lock_guard<std::mutex> lock(self->mutex);
      if (self->caller != nullptr && self->caller->reads_) self->caller->Take();
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
      const absl::Status before = status_;
      const auto taken = call_->Take(&message, &status_);
      if (taken_ == GenerationCall::Taken::kMessageBeforeMore) {
        EXPECT_NE(taken, GenerationCall::Taken::kNothing);
      } else if (taken_ == GenerationCall::Taken::kLastMessage && !ended_) {
        EXPECT_EQ(taken, GenerationCall::Taken::kEnd);
        EXPECT_EQ(status_, before);
      }
      taken_ = taken;
      taken_ever_.insert(taken);
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

  void ReadFromNowOn() {
    reads_ = true;
    Take();
  }

  bool HasTaken(GenerationCall::Taken taken) {
    std::lock_guard<std::mutex> lock(mutex_);
    return taken_ever_.count(taken) > 0;
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
  struct Self {
    explicit Self(Caller* of) : caller(of) {}
    std::mutex mutex;
    Caller* caller;  // null: gone
  };

  std::atomic<bool> reads_;
  const std::shared_ptr<Self> self_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<GenerationCall> call_;
  std::vector<v1::GenerateResponse> messages_;
  GenerationCall::Taken taken_ = GenerationCall::Taken::kNothing;  // the newest
  std::set<GenerationCall::Taken> taken_ever_;
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
    parts_.media = &media_;
    parts_.groups = directory_.get();
    parts_.metrics = &metrics_;
    parts_.pacer = pacer_.get();
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
    auto call = GenerationCall::Create(&parts_, "Generate", context, *admission_.Admit(),
                                       caller.on_output());
    caller.SetCall(call);
    call->Start(
        [&](const RequestContext& of_call) { return PrepareGenerate(parts_, of_call, request); });
    return call;
  }

  static v1::GenerateRequest IdRequest(const std::vector<int32_t>& ids, int max_tokens) {
    v1::GenerateRequest request;
    for (const int32_t id : ids) request.mutable_prompt()->mutable_token_ids()->add_ids(id);
    request.mutable_stopping()->set_max_tokens(max_tokens);
    return request;
  }

  // The token of a piece of one character.
  int32_t Piece(const std::string& text) { return model_->tokenizer->Encode(text, {})->front(); }

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
  prometheus::Registry media_registry_;
  MediaPrompts media_{model_.get(), {}, media_registry_};
  prometheus::Registry registry_;
  RouterMetrics metrics_{registry_};
  std::unique_ptr<Pacer> pacer_ = std::make_unique<Pacer>(absl::ZeroDuration());
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
  EXPECT_TRUE(caller.HasTaken(GenerationCall::Taken::kMessageBeforeMore));
  EXPECT_TRUE(caller.HasTaken(GenerationCall::Taken::kLastMessage));
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

TEST_F(GenerationCallTest, WithAnIntervalTheFirstTokensAndTheEndGoAtOnceAndTheRestTogether) {
  pacer_ = std::make_unique<Pacer>(absl::Hours(1));
  FakeShardEngine engine(*model_);
  StartDirectory({engine.address()});
  Caller caller;
  Start(caller, IdRequest({10}, 50));
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  engine.Send(id, {11});
  ASSERT_TRUE(WaitFor([&] { return caller.Tokens().size() == 1; }));
  for (const int32_t token : {12, 13}) engine.Send(id, {token});
  // What the group has said has come here, and waits.
  ASSERT_TRUE(WaitFor([&] { return CountOf(metrics_.inter_token_latency_seconds) == 2; }));
  EXPECT_THAT(caller.Tokens(), ElementsAre(11));
  engine.Send(id, {14}, internal::Finish::LENGTH);
  ASSERT_THAT(caller.Wait(), IsOk());
  EXPECT_THAT(caller.Tokens(), ElementsAre(11, 12, 13, 14));
  ASSERT_EQ(caller.messages().size(), 4u) << "start, two deltas, end";
  EXPECT_EQ(caller.messages()[2].delta().token_ids_size(), 3);
}

TEST_F(GenerationCallTest, WithAnIntervalTokensWaitNoLongerThanThat) {
  pacer_ = std::make_unique<Pacer>(absl::Milliseconds(5));
  FakeShardEngine engine(*model_);
  StartDirectory({engine.address()});
  std::vector<std::unique_ptr<Caller>> callers;
  for (int i = 0; i < 4; ++i) {
    callers.push_back(std::make_unique<Caller>());
    Start(*callers.back(), IdRequest({10}, 50));
  }
  const auto submits = engine.WaitForSubmits(4);
  for (int32_t token = 11; token < 31; ++token) {
    for (const internal::SubmitRequest& submit : submits) engine.Send(submit.id(), {token});
  }
  for (const auto& caller : callers) {
    ASSERT_TRUE(WaitFor([&] { return caller->Tokens().size() == 20; }));
  }
  for (const internal::SubmitRequest& submit : submits) {
    engine.Send(submit.id(), {31}, internal::Finish::LENGTH);
  }
  for (const auto& caller : callers) {
    ASSERT_THAT(caller->Wait(), IsOk());
    std::vector<int32_t> expected(21);
    std::iota(expected.begin(), expected.end(), 11);
    EXPECT_EQ(caller->Tokens(), expected);
  }
}

TEST_F(GenerationCallTest, WhoWaitsForHisTurnMayCancel) {
  pacer_ = std::make_unique<Pacer>(absl::Hours(1));
  FakeShardEngine engine(*model_);
  StartDirectory({engine.address()});
  Caller caller;
  const auto call = Start(caller, IdRequest({10}, 50));
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  engine.Send(id, {11});
  ASSERT_TRUE(WaitFor([&] { return caller.Tokens().size() == 1; }));
  engine.Send(id, {12});
  ASSERT_TRUE(WaitFor([&] { return CountOf(metrics_.inter_token_latency_seconds) == 1; }));
  call->Cancel(absl::CancelledError("the caller is gone"));
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(engine.WaitForCancels(1), ElementsAre(id));
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

TEST_F(GenerationCallTest, ASlowReadersRequestAloneIsPausedAndGoesOn) {
  FakeShardEngine engine(*model_);
  parts_.max_buffered_tokens = 10;
  StartDirectory({engine.address()});
  Caller slow(/*reads=*/false), quick;
  Start(slow, IdRequest({10}, 50));
  const uint64_t slow_id = engine.WaitForSubmits(1).at(0).id();
  Start(quick, IdRequest({10}, 50));
  const uint64_t quick_id = engine.WaitForSubmits(2).at(1).id();
  for (int i = 0; i < 10; ++i) engine.Send(slow_id, {i});
  for (int i = 0; i < 20; ++i) engine.Send(quick_id, {i});
  ASSERT_TRUE(WaitFor([&] { return quick.Tokens().size() == 20; }));
  EXPECT_THAT(engine.WaitForPauses(0), IsEmpty());  // ten may wait
  engine.Send(slow_id, {10});
  engine.Send(slow_id, {11});  // was on its way
  ASSERT_EQ(engine.WaitForPauses(1).size(), 1u);
  EXPECT_EQ(engine.WaitForPauses(1)[0].id(), slow_id);
  EXPECT_TRUE(engine.WaitForPauses(1)[0].paused());
  for (int i = 20; i < 40; ++i) engine.Send(quick_id, {i});
  ASSERT_TRUE(WaitFor([&] { return quick.Tokens().size() == 40; }));
  slow.Take();
  ASSERT_EQ(engine.WaitForPauses(2).size(), 2u);
  EXPECT_EQ(engine.WaitForPauses(2)[1].id(), slow_id);
  EXPECT_FALSE(engine.WaitForPauses(2)[1].paused());
  EXPECT_EQ(slow.Tokens().size(), 12u);
  engine.Send(slow_id, {12}, internal::Finish::LENGTH);
  engine.Send(quick_id, {12}, internal::Finish::LENGTH);
  ASSERT_THAT(quick.Wait(), IsOk());
  slow.ReadFromNowOn();
  ASSERT_THAT(slow.Wait(), IsOk());
  EXPECT_EQ(slow.Tokens().size(), 13u);
  EXPECT_EQ(metrics_.reader_pauses.Value(), 1);
  EXPECT_THAT(engine.WaitForCancels(0), IsEmpty());
}

TEST_F(GenerationCallTest, TheCompletionsOfASlowReaderCountTogether) {
  FakeShardEngine engine(*model_);
  parts_.max_buffered_tokens = 8;
  StartDirectory({engine.address()});
  v1::GenerateRequest request = IdRequest({10}, 50);
  request.set_n(3);
  Caller caller(/*reads=*/false);
  Start(caller, request);
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  for (int i = 0; i < 3; ++i) {
    for (int index = 0; index < 3; ++index) {
      engine.Send(id, {i}, internal::Finish::REASON_UNSPECIFIED, index);
    }
  }
  EXPECT_EQ(engine.WaitForPauses(1).size(), 1u);
}

TEST_F(GenerationCallTest, ACallerThatNeverReadsLosesItsRequestAndIsThenCutOff) {
  FakeShardEngine engine(*model_);
  fake_time_ = true;
  parts_.max_buffered_tokens = 10;
  parts_.max_read_pause = absl::Seconds(60);
  StartDirectory({engine.address()});
  Caller caller(/*reads=*/false);
  const auto call = Start(caller, IdRequest({10}, 50));
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  now_ms_ += 100000;
  call->CheckReader();  // waiting for the first token is no fault
  for (int i = 0; i < 11; ++i) engine.Send(id, {i});
  ASSERT_EQ(engine.WaitForPauses(1).size(), 1u);
  now_ms_ += 59000;
  call->CheckReader();
  EXPECT_THAT(engine.WaitForCancels(0), IsEmpty());
  now_ms_ += 2000;
  call->CheckReader();
  EXPECT_THAT(engine.WaitForCancels(1), ElementsAre(id));
  call->CheckReader();
  EXPECT_FALSE(call->abandoned());
  now_ms_ += 61000;
  call->CheckReader();
  EXPECT_TRUE(call->abandoned());
  caller.Take();
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kResourceExhausted,
                                      ::testing::AllOf(HasSubstr("slowly"), HasSubstr("1m"),
                                                       HasSubstr("11 tokens"))));
  EXPECT_EQ(caller.Tokens().size(), 11u);
}

TEST_F(GenerationCallTest, AGroupThatKnowsNoPausesCannotFillTheRouter) {
  FakeShardEngine engine(*model_);
  parts_.max_buffered_tokens = 10;
  StartDirectory({engine.address()});
  Caller caller(/*reads=*/false);
  Start(caller, IdRequest({10}, 50));
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  for (int i = 0; i < 5; ++i) engine.Send(id, std::vector<int32_t>(1000, 5));
  EXPECT_THAT(engine.WaitForCancels(1), ElementsAre(id));
  caller.Take();
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("slowly")));
}

TEST_F(GenerationCallTest, EachCompletionHasItsDeltasAndItsEnd) {
  FakeShardEngine engine(*model_);
  StartDirectory({engine.address()});
  v1::GenerateRequest request = IdRequest({10, 20}, 50);
  request.set_n(3);
  request.set_cache_salt("tenant");
  request.mutable_stopping()->add_stop("b");
  Caller caller;
  Start(caller, request);
  const internal::SubmitRequest sent = engine.WaitForSubmits(1).at(0);
  EXPECT_EQ(sent.n(), 3);
  EXPECT_EQ(sent.cache_salt(), "tenant");
  const uint64_t id = sent.id();
  const int32_t x = Piece("x"), b = Piece("b"), c = Piece("c");
  engine.SendStarted(id, /*cached_tokens=*/1, /*queue_seconds=*/0.25);
  const auto none = internal::Finish::REASON_UNSPECIFIED;
  engine.Send(id, {x}, none, 2);
  engine.Send(id, {c, c}, none, 0);
  engine.Send(id, {x, b, c}, none, 1);  // the stop string ends this one alone
  EXPECT_THAT(engine.WaitForCancels(1), ElementsAre(id));
  EXPECT_TRUE(engine.cancels()[0].has_index());
  EXPECT_EQ(engine.cancels()[0].index(), 1);
  engine.Send(id, {c}, none, 1);  // was on its way
  engine.Send(id, {x}, internal::Finish::STOP, 0);
  engine.Send(id, {x}, internal::Finish::LENGTH, 2);
  ASSERT_THAT(caller.Wait(), IsOk());
  std::map<int, std::string> text;
  std::map<int, v1::SequenceEnd> ends;
  for (const auto& m : caller.messages()) {
    if (m.has_sequence_end()) ends[m.sequence_end().index()] = m.sequence_end();
    if (!m.has_delta()) continue;
    EXPECT_EQ(ends.count(m.delta().index()), 0u) << "a delta behind the end";
    text[m.delta().index()] += m.delta().text();
  }
  EXPECT_THAT(
      text, ElementsAre(std::make_pair(0, "ccx"), std::make_pair(1, "x"), std::make_pair(2, "xx")));
  ASSERT_EQ(ends.size(), 3u);
  EXPECT_EQ(ends[0].finish_reason(), v1::STOP);
  EXPECT_EQ(ends[1].finish_reason(), v1::STOP_SEQUENCE);
  EXPECT_EQ(ends[1].matched_stop(), "b");
  EXPECT_EQ(ends[1].completion_tokens(), 2);
  EXPECT_EQ(ends[2].finish_reason(), v1::LENGTH);
  const v1::StreamEnd end = caller.End();
  EXPECT_EQ(end.finish_reason(), v1::STOP);
  EXPECT_EQ(end.usage().prompt_tokens(), 2);
  EXPECT_EQ(end.usage().cached_tokens(), 1);
  EXPECT_EQ(end.usage().completion_tokens(), 7);
  EXPECT_EQ(end.timings().queue_seconds(), 0.25);
  EXPECT_EQ(Logged().completions, 3);
  EXPECT_EQ(Logged().cached_tokens, 1);
  EXPECT_EQ(directory_->ready_groups(), 1);
}

TEST_F(GenerationCallTest, AnErrorOfOneCompletionEndsThemAll) {
  FakeShardEngine engine(*model_);
  StartDirectory({engine.address()});
  v1::GenerateRequest request = IdRequest({10}, 50);
  request.set_n(2);
  Caller caller;
  Start(caller, request);
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  engine.Send(id, {11});
  internal::EngineFrame frame;
  frame.add_outputs()->set_id(id);
  frame.mutable_outputs(0)->set_index(1);
  frame.mutable_outputs(0)->mutable_finish()->set_reason(internal::Finish::ERROR);
  frame.mutable_outputs(0)->mutable_finish()->set_code(8);
  frame.mutable_outputs(0)->mutable_finish()->set_message("no pages");
  engine.SendFrame(frame);
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kResourceExhausted, "no pages"));
  EXPECT_THAT(engine.WaitForCancels(1), ElementsAre(id));
  EXPECT_FALSE(engine.cancels()[0].has_index());
}

TEST_F(GenerationCallTest, ACompletionThatWasNotAskedForIsAnInternalError) {
  FakeShardEngine engine(*model_);
  StartDirectory({engine.address()});
  Caller caller;
  Start(caller, IdRequest({10}, 50));
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  engine.Send(id, {11}, internal::Finish::REASON_UNSPECIFIED, 1);
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kInternal, HasSubstr("completion 1 of 1")));
  EXPECT_THAT(engine.WaitForCancels(1), ElementsAre(id));
}

TEST_F(GenerationCallTest, TheStartComesWhenTheFirstStepIsPlanned) {
  FakeShardEngine engine(*model_);
  StartDirectory({engine.address()});
  Caller caller;
  Start(caller, IdRequest({10, 20, 30}, 50));
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  EXPECT_THAT(caller.messages(), IsEmpty());
  engine.SendStarted(id, /*cached_tokens=*/2);
  ASSERT_TRUE(WaitFor([&] { return caller.messages().size() == 1; }));
  EXPECT_EQ(caller.messages()[0].start().cached_tokens(), 2);
  EXPECT_EQ(caller.messages()[0].start().prompt_tokens(), 3);
  engine.Send(id, {1}, internal::Finish::LENGTH);
  ASSERT_THAT(caller.Wait(), IsOk());
  EXPECT_EQ(caller.End().usage().cached_tokens(), 2);
}

TEST_F(GenerationCallTest, ARequestThatFailsBeforeItStartedIsItsStatusAlone) {
  FakeShardEngine engine(*model_);
  StartDirectory({engine.address()});
  Caller caller;
  Start(caller, IdRequest({10}, 50));
  engine.SendError(engine.WaitForSubmits(1).at(0).id(), absl::StatusCode::kInvalidArgument, "no");
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kInvalidArgument, "no"));
  EXPECT_THAT(caller.messages(), IsEmpty());
}

TEST_F(GenerationCallTest, AMovedRequestStartsOnceAndRepeatsNothingOfThePrompt) {
  FakeShardEngine a(*model_), b(*model_);
  StartDirectory({a.address(), b.address()});
  v1::GenerateRequest request = IdRequest({10, 20, 30, 40}, 50);
  request.set_prompt_logprobs(1);
  Caller caller;
  Start(caller, request);
  ASSERT_TRUE(
      WaitFor([&] { return a.WaitForSubmits(0).size() + b.WaitForSubmits(0).size() == 1; }));
  FakeShardEngine& first = a.WaitForSubmits(0).empty() ? b : a;
  FakeShardEngine& second = a.WaitForSubmits(0).empty() ? a : b;
  const auto send_prompt = [](FakeShardEngine& engine, const std::vector<int32_t>& ids) {
    internal::EngineFrame frame;
    internal::SequenceOutput* output = frame.add_outputs();
    output->set_id(engine.WaitForSubmits(1).at(0).id());
    for (const int32_t id : ids) {
      internal::TokenOutput* token = output->add_prompt();
      token->set_token_id(id);
      for (const int32_t top : {id, id + 1}) {
        token->add_top_ids(top);
        token->add_top_logprobs(-1);
      }
    }
    engine.SendFrame(frame);
  };
  EXPECT_TRUE(first.WaitForSubmits(1)[0].want_prompt_logprobs());
  EXPECT_EQ(first.WaitForSubmits(1)[0].top_prompt_logprobs(), 1);
  first.SendStarted(first.WaitForSubmits(1)[0].id(), 2);
  send_prompt(first, {20});
  ASSERT_TRUE(WaitFor([&] { return caller.messages().size() == 2; }));
  first.CutStreams();
  ASSERT_EQ(second.WaitForSubmits(1).size(), 1u);
  const uint64_t id = second.WaitForSubmits(1)[0].id();
  second.SendStarted(id, 1);
  send_prompt(second, {20, 30});
  send_prompt(second, {40});
  second.Send(id, {1}, internal::Finish::LENGTH);
  ASSERT_THAT(caller.Wait(), IsOk());
  std::vector<int32_t> prompt;
  int starts = 0;
  bool in_order = true;
  for (const auto& m : caller.messages()) {
    starts += m.has_start() ? 1 : 0;
    if (!m.has_prompt_logprobs()) continue;
    in_order &= m.prompt_logprobs().first_position() == static_cast<int>(prompt.size()) + 1;
    for (const auto& token : m.prompt_logprobs().tokens()) {
      prompt.push_back(token.token_id());
      EXPECT_EQ(token.top_size(), 1);
    }
  }
  EXPECT_THAT(prompt, ElementsAre(20, 30, 40));
  EXPECT_TRUE(in_order);
  EXPECT_EQ(starts, 1);
  EXPECT_EQ(caller.End().usage().cached_tokens(), 1);  // of the group that served it
}

TEST_F(GenerationCallTest, ACancelWhileItWaitsForAGroupLeavesNothingBehind) {
  FakeShardEngine engine(*model_);
  engine.SetServing(false);
  parts_.wait_for_group = absl::Seconds(60);
  StartDirectory({engine.address()}, /*wait_ready=*/false);
  Caller caller;
  const auto call = Start(caller, IdRequest({10}, 5));
  EXPECT_EQ(metrics_.requests_waiting_for_group.Value(), 1);
  call->Cancel(absl::CancelledError("the caller is gone"));
  EXPECT_THAT(caller.Wait(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(metrics_.requests_waiting_for_group.Value(), 0);
  EXPECT_EQ(metrics_.requests_in_flight.Value(), 0);
  EXPECT_EQ(admission_.in_flight(), 0);
  engine.SetServing(true);
  ASSERT_TRUE(WaitFor([&] { return directory_->waiting() == 0; }));
  EXPECT_EQ(metrics_.requests_waiting_for_group.Value(), 0);
  EXPECT_THAT(engine.WaitForSubmits(0), IsEmpty());
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

// Two completions of ten messages each, 20 ms apart from each other: 40 ms within each.
TEST_F(GenerationCallTest, LatenciesAreThoseOfEachCompletion) {
  FakeShardEngine engine(*model_);
  fake_time_ = true;
  StartDirectory({engine.address()});
  v1::GenerateRequest request = IdRequest({10}, 40);
  request.set_n(2);
  Caller caller;
  Start(caller, request);
  const uint64_t id = engine.WaitForSubmits(1).at(0).id();
  for (size_t message = 0; message < 20; ++message) {
    now_ms_ += 20;
    engine.Send(id, {1, 2, 3, 4},
                message >= 18 ? internal::Finish::LENGTH : internal::Finish::REASON_UNSPECIFIED,
                static_cast<int>(message % 2));
    ASSERT_TRUE(WaitFor([&] { return caller.Tokens().size() == 4 * (message + 1); }));
  }
  ASSERT_THAT(caller.Wait(), IsOk());
  EXPECT_EQ(CountOf(metrics_.time_to_first_token_seconds), 1u);
  EXPECT_EQ(CountOf(metrics_.inter_token_latency_seconds), 18u);
  EXPECT_NEAR(SumOf(metrics_.inter_token_latency_seconds), 18 * 0.040, 1e-6);
  EXPECT_EQ(CountOf(metrics_.time_per_output_token_seconds), 2u);
  EXPECT_NEAR(SumOf(metrics_.time_per_output_token_seconds), 2 * 0.010, 1e-6);
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
