#include "services/shard/shard_service.h"

#include <chrono>
#include <memory>
#include <thread>

#include "absl/time/clock.h"
#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/registry.h"
#include "shard/collective/single_collective.h"
#include "shard/group/testing/counting_model.h"

namespace facet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOk;

constexpr int kVocab = 50;

internal::RouterFrame Submit(uint64_t id, std::vector<int32_t> prompt, int max_tokens) {
  internal::RouterFrame frame;
  internal::SubmitRequest* submit = frame.mutable_submit();
  submit->set_id(id);
  submit->mutable_prompt()->Assign(prompt.begin(), prompt.end());
  submit->mutable_sampling()->set_top_p(1);
  submit->mutable_sampling()->set_repetition_penalty(1);
  submit->mutable_stopping()->set_max_tokens(max_tokens);
  return frame;
}

internal::RouterFrame Cancel(uint64_t id) {
  internal::RouterFrame frame;
  frame.mutable_cancel()->set_id(id);
  return frame;
}

class ShardServiceTest : public ::testing::Test {
 protected:
  ShardServiceTest() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = internal::ShardEngine::NewStub(grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                                               grpc::InsecureChannelCredentials()));
  }
  ~ShardServiceTest() override {
    model_.Release();
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }

  void StartEngine(int max_buffered_outputs = 65536) {
    LeaderEngine::Options options;
    options.vocab_size = kVocab;
    options.media.hidden_size = 2;
    options.media.video_token_id = 40;
    options.max_buffered_outputs = max_buffered_outputs;
    options.scheduler.max_step_tokens = 16;
    options.scheduler.max_running_sequences = 4;
    options.scheduler.max_queue = 1;
    options.scheduler.page_tokens = 4;
    options.scheduler.global_pages = 64;
    options.scheduler.sliding_pages = 64;
    options.scheduler.sliding_window = 8;
    options.scheduler.max_context = 64;
    auto engine = LeaderEngine::Start(options, &model_, &alone_, &step_metrics_, &metrics_);
    ASSERT_THAT(engine, IsOk());
    engine_ = *std::move(engine);
    internal::EngineInfo info;
    info.set_model_name("counting");
    service_.SetEngine(engine_.get(), info);
  }

  // A router's call. Ends it (by cancelling) when it goes.
  struct Call {
    explicit Call(internal::ShardEngine::Stub& stub) {
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
      stream = stub.Connect(&context);
    }
    ~Call() {
      if (!finished) Finish();
    }
    grpc::Status Finish() {
      if (!finished) context.TryCancel();
      return End();
    }
    // The status, once the server has ended the stream.
    grpc::Status End() {
      internal::EngineFrame frame;
      while (stream->Read(&frame)) {
      }
      finished = true;
      return stream->Finish();
    }
    // Reads on until the request has ended; keeps what comes of other requests.
    internal::SequenceOutput WaitFor(uint64_t id) {
      internal::EngineFrame frame;
      while (!outputs[id].has_finish() && stream->Read(&frame)) {
        ++frames;
        for (const auto& output : frame.outputs()) outputs[output.id()].MergeFrom(output);
      }
      EXPECT_TRUE(outputs[id].has_finish()) << "the stream ended before request " << id;
      return outputs[id];
    }

    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<internal::RouterFrame, internal::EngineFrame>> stream;
    std::map<uint64_t, internal::SequenceOutput> outputs;
    int frames = 0;
    bool finished = false;
  };

  bool EngineBecomesIdle() {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (!engine_->idle()) {
      if (absl::Now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  CountingModel model_{kVocab};
  SingleCollective alone_;
  prometheus::Registry registry_;
  StepMetrics step_metrics_{registry_};
  EngineMetrics metrics_{registry_};
  std::unique_ptr<LeaderEngine> engine_;
  ShardEngineService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<internal::ShardEngine::Stub> stub_;
};

std::vector<int32_t> TokensOf(const internal::SequenceOutput& output) {
  std::vector<int32_t> out;
  for (const auto& token : output.tokens()) out.push_back(token.token_id());
  return out;
}

TEST_F(ShardServiceTest, IsUnavailableWhileTheGroupLoads) {
  Call call(*stub_);
  const grpc::Status status = call.End();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("loading"));
  grpc::ClientContext context;
  internal::EngineInfo info;
  EXPECT_EQ(stub_->GetInfo(&context, {}, &info).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ShardServiceTest, TellsWhatItServes) {
  ASSERT_NO_FATAL_FAILURE(StartEngine());
  grpc::ClientContext context;
  internal::EngineInfo info;
  ASSERT_TRUE(stub_->GetInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.model_name(), "counting");
}

TEST_F(ShardServiceTest, StreamsTheTokensOfAllRequests) {
  ASSERT_NO_FATAL_FAILURE(StartEngine());
  model_.Hold();
  Call call(*stub_);
  ASSERT_TRUE(call.stream->Write(Submit(1, {3}, 4)));
  ASSERT_TRUE(call.stream->Write(Submit(2, {20, 21}, 3)));
  ASSERT_TRUE(call.stream->Write(Submit(3, {}, 1)));
  call.WaitFor(3);  // so the others have arrived, and run side by side
  model_.Release();
  const auto first = call.WaitFor(1), second = call.WaitFor(2);
  EXPECT_THAT(TokensOf(first), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(TokensOf(second), ElementsAre(22, 23, 24));
  EXPECT_EQ(first.finish().reason(), internal::Finish::LENGTH);
  EXPECT_LE(call.frames, 8);  // at most one for each step
  // The router closes its side: nothing is left to do.
  ASSERT_TRUE(call.stream->WritesDone());
  EXPECT_TRUE(call.End().ok());
}

TEST_F(ShardServiceTest, GivesLogprobsWhenTheyAreAskedFor) {
  ASSERT_NO_FATAL_FAILURE(StartEngine());
  Call call(*stub_);
  internal::RouterFrame frame = Submit(1, {3}, 1);
  frame.mutable_submit()->set_want_logprobs(true);
  frame.mutable_submit()->set_top_logprobs(2);
  ASSERT_TRUE(call.stream->Write(frame));
  const auto output = call.WaitFor(1);
  ASSERT_EQ(output.tokens_size(), 1);
  EXPECT_LE(output.tokens(0).logprob(), 0.0f);
  EXPECT_GE(output.tokens(0).logprob(), -0.01f);
  EXPECT_THAT(output.tokens(0).top_ids(), ElementsAre(4, 0));
  EXPECT_EQ(output.tokens(0).top_logprobs_size(), 2);
}

TEST_F(ShardServiceTest, SaysWhenARequestStartsAndScoresItsPrompt) {
  ASSERT_NO_FATAL_FAILURE(StartEngine());
  Call call(*stub_);
  internal::RouterFrame frame = Submit(1, {3, 4, 9}, 1);
  frame.mutable_submit()->set_want_prompt_logprobs(true);
  frame.mutable_submit()->set_top_prompt_logprobs(1);
  ASSERT_TRUE(call.stream->Write(frame));
  const auto output = call.WaitFor(1);
  ASSERT_TRUE(output.has_started());
  EXPECT_EQ(output.started().cached_tokens(), 0);
  EXPECT_GE(output.started().queue_seconds(), 0);
  ASSERT_EQ(output.prompt_size(), 2);
  EXPECT_EQ(output.prompt(0).token_id(), 4);
  EXPECT_GE(output.prompt(0).logprob(), -0.01f);
  EXPECT_EQ(output.prompt(1).token_id(), 9);
  EXPECT_LE(output.prompt(1).logprob(), -19.0f);
  EXPECT_THAT(output.prompt(1).top_ids(), ElementsAre(5));
}

TEST_F(ShardServiceTest, CarriesCompletionsTheirCancelsAndPauses) {
  ASSERT_NO_FATAL_FAILURE(StartEngine());
  model_.Hold();
  Call call(*stub_);
  internal::RouterFrame frame = Submit(1, {3}, 4), pause, resume, cancel;
  frame.mutable_submit()->set_n(2);
  pause.mutable_pause()->set_id(1);
  pause.mutable_pause()->set_paused(true);
  resume.mutable_pause()->set_id(1);
  cancel.mutable_cancel()->set_id(1);
  cancel.mutable_cancel()->set_index(0);
  for (const auto& f : {frame, pause, cancel, resume}) ASSERT_TRUE(call.stream->Write(f));
  for (bool cancelled = false; !cancelled;) {
    internal::EngineFrame news;
    ASSERT_TRUE(call.stream->Read(&news));
    for (const auto& output : news.outputs()) {
      if (!output.has_finish()) continue;
      EXPECT_EQ(output.index(), 0);
      EXPECT_EQ(output.finish().reason(), internal::Finish::CANCELLED);
      cancelled = true;
    }
  }
  model_.Release();
  const auto other = call.WaitFor(1);
  EXPECT_EQ(other.index(), 1);
  EXPECT_THAT(TokensOf(other), ElementsAre(4, 5, 6, 7));
}

TEST_F(ShardServiceTest, ARefusalCarriesCodeMessageAndRetryAfter) {
  ASSERT_NO_FATAL_FAILURE(StartEngine());
  model_.Hold();
  Call call(*stub_);
  ASSERT_TRUE(call.stream->Write(Submit(1, {}, 1)));
  const auto bad = call.WaitFor(1).finish();
  EXPECT_EQ(bad.reason(), internal::Finish::ERROR);
  EXPECT_EQ(bad.code(), static_cast<int>(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(bad.message(), HasSubstr("no tokens"));
  EXPECT_EQ(bad.retry_after_ms(), 0);
  for (uint64_t id = 2; id <= 7; ++id) ASSERT_TRUE(call.stream->Write(Submit(id, {1}, 1)));
  const auto full = call.WaitFor(7).finish();
  EXPECT_EQ(full.code(), static_cast<int>(absl::StatusCode::kResourceExhausted));
  EXPECT_GT(full.retry_after_ms(), 0);
}

TEST_F(ShardServiceTest, ATimeoutIsHonoured) {
  ASSERT_NO_FATAL_FAILURE(StartEngine());
  model_.on_step = [](const StepPlan&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return absl::OkStatus();
  };
  Call call(*stub_);
  internal::RouterFrame frame = Submit(1, {1}, 60);
  frame.mutable_submit()->set_timeout_ms(50);
  ASSERT_TRUE(call.stream->Write(frame));
  EXPECT_EQ(call.WaitFor(1).finish().code(), static_cast<int>(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(ShardServiceTest, CancelsOneRequestAndKeepsTheOther) {
  ASSERT_NO_FATAL_FAILURE(StartEngine());
  model_.Hold();
  Call call(*stub_);
  ASSERT_TRUE(call.stream->Write(Submit(1, {1}, 5)));
  ASSERT_TRUE(call.stream->Write(Submit(2, {1}, 5)));
  ASSERT_TRUE(call.stream->Write(Cancel(1)));
  EXPECT_EQ(call.WaitFor(1).finish().reason(), internal::Finish::CANCELLED);
  model_.Release();
  EXPECT_EQ(call.WaitFor(2).tokens_size(), 5);
}

TEST_F(ShardServiceTest, ABrokenStreamCancelsItsRequests) {
  ASSERT_NO_FATAL_FAILURE(StartEngine());
  model_.Hold();
  Call stays(*stub_);
  ASSERT_TRUE(stays.stream->Write(Submit(1, {1}, 10)));
  {
    Call breaks(*stub_);
    ASSERT_TRUE(breaks.stream->Write(Submit(1, {1}, 10)));
    ASSERT_TRUE(breaks.stream->Write(Submit(2, {}, 10)));
    breaks.WaitFor(2);  // so the first one has arrived as well
  }
  model_.Release();
  EXPECT_EQ(stays.WaitFor(1).tokens_size(), 10);
  EXPECT_TRUE(EngineBecomesIdle());
}

TEST_F(ShardServiceTest, AFrameThatSaysNothingEndsTheStream) {
  ASSERT_NO_FATAL_FAILURE(StartEngine());
  Call call(*stub_);
  ASSERT_TRUE(call.stream->Write(internal::RouterFrame()));
  EXPECT_EQ(call.End().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

internal::RouterFrame SubmitMedia(uint64_t id, internal::MediaSpan::Kind kind, const char* dtype) {
  internal::RouterFrame frame = Submit(id, {4, 40, 40, 7}, 2);
  internal::MediaSpan* span = frame.mutable_submit()->add_media();
  span->set_kind(kind);
  span->set_position(1);
  span->set_count(2);
  span->set_dtype(dtype);
  span->set_rows("12345678");
  span->set_content_hash(std::string(32, 'h'));
  return frame;
}

TEST_F(ShardServiceTest, CarriesSoftTokens) {
  SoftTokens seen;
  model_.on_step = [&seen](const StepPlan& plan) {
    const auto& runs = plan.sequences[0].soft_tokens;
    if (!runs.empty()) seen = runs[0];
    return absl::OkStatus();
  };
  StartEngine();
  Call call(*stub_);
  call.stream->Write(SubmitMedia(1, internal::MediaSpan::VIDEO, "bf16"));
  EXPECT_EQ(call.WaitFor(1).finish().reason(), internal::Finish::LENGTH);
  EXPECT_EQ(seen.kind, MediaKind::kVideo);
  EXPECT_EQ(seen.dtype, DType::kBF16);
  EXPECT_EQ(seen.position, 1);
  EXPECT_EQ(seen.count, 2);
  EXPECT_EQ(seen.rows, "12345678");
}

TEST_F(ShardServiceTest, MediaOfAnUnknownKindOrTypeEndTheStream) {
  StartEngine();
  Call kind(*stub_);
  kind.stream->Write(SubmitMedia(1, internal::MediaSpan::KIND_UNSPECIFIED, "bf16"));
  EXPECT_THAT(kind.End().error_message(), HasSubstr("media: kind is 0, must be in [1, 3]"));
  Call type(*stub_);
  type.stream->Write(SubmitMedia(1, internal::MediaSpan::IMAGE, "f16"));
  EXPECT_THAT(type.End().error_message(), HasSubstr("dtype is 'f16', must be f32 or bf16"));
}

TEST_F(ShardServiceTest, DrainEndsTheStreamAfterTheLastRequest) {
  ASSERT_NO_FATAL_FAILURE(StartEngine());
  model_.Hold();
  Call call(*stub_);
  ASSERT_TRUE(call.stream->Write(Submit(1, {1}, 5)));
  model_.WaitUntilHeld();
  engine_->Drain();
  model_.Release();
  EXPECT_EQ(call.WaitFor(1).tokens_size(), 5);
  const grpc::Status status = call.End();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("draining"));
  EXPECT_EQ(Call(*stub_).End().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ShardServiceTest, ALostGroupIsToldToEveryRequestAndEndsTheStream) {
  ASSERT_NO_FATAL_FAILURE(StartEngine());
  model_.on_step = [](const StepPlan&) { return absl::UnavailableError("rank 1 died"); };
  Call call(*stub_);
  ASSERT_TRUE(call.stream->Write(Submit(1, {1}, 5)));
  const auto finish = call.WaitFor(1).finish();
  EXPECT_EQ(finish.code(), static_cast<int>(absl::StatusCode::kUnavailable));
  EXPECT_THAT(finish.message(), HasSubstr("rank 1 died"));
  EXPECT_EQ(call.End().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ShardServiceTest, ARouterThatDoesNotReadIsCutOff) {
  ASSERT_NO_FATAL_FAILURE(StartEngine(/*max_buffered_outputs=*/50));
  Call call(*stub_);
  // Refusals are outputs too. What gRPC itself buffers (64 KiB and more) comes first.
  const internal::RouterFrame bad = Submit(1, {}, 1);
  for (int i = 0; i < 200000; ++i) {
    if (!call.stream->Write(bad)) break;
  }
  EXPECT_EQ(call.End().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace facet
