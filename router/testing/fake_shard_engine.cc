#include "router/testing/fake_shard_engine.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/log.h"

namespace facet::testing {
namespace {

constexpr auto kLimit = std::chrono::seconds(10);

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

}  // namespace

class FakeShardEngine::Engine final : public internal::ShardEngine::Service {
 public:
  explicit Engine(FakeShardEngine* fake) : fake_(fake) {}

  grpc::Status GetInfo(grpc::ServerContext*, const internal::GetInfoRequest*,
                       internal::EngineInfo* response) override {
    *response = fake_->info();
    return grpc::Status::OK;
  }

  grpc::Status Connect(grpc::ServerContext* context, Stream* stream) override {
    {
      std::lock_guard<std::mutex> lock(fake_->mutex_);
      if (fake_->stopped_) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopped");
      fake_->streams_.push_back({stream, context});
      ++fake_->streams_opened_;
      fake_->changed_.notify_all();
    }
    internal::RouterFrame frame;
    while (stream->Read(&frame)) Hear(frame);
    std::lock_guard<std::mutex> write_lock(fake_->write_mutex_);
    std::lock_guard<std::mutex> lock(fake_->mutex_);
    auto& streams = fake_->streams_;
    streams.erase(std::remove_if(streams.begin(), streams.end(),
                                 [stream](const OpenStream& s) { return s.stream == stream; }),
                  streams.end());
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "stream cut");
  }

 private:
  void Hear(const internal::RouterFrame& frame) {
    OnSubmit on_submit;
    {
      std::lock_guard<std::mutex> lock(fake_->mutex_);
      if (frame.has_submit()) {
        fake_->submits_.push_back(frame.submit());
        on_submit = fake_->on_submit_;
      } else if (frame.has_pause()) {
        fake_->pauses_.push_back(frame.pause());
      } else {
        fake_->cancels_.push_back(frame.cancel());
      }
      fake_->changed_.notify_all();
    }
    if (on_submit) on_submit(*fake_, frame.submit());
  }

  FakeShardEngine* const fake_;
};

class FakeShardEngine::Health final : public grpc::health::v1::Health::Service {
 public:
  explicit Health(FakeShardEngine* fake) : fake_(fake) {}

  grpc::Status Check(grpc::ServerContext* context, const HealthCheckRequest* request,
                     HealthCheckResponse* response) override {
    if (request->service() != internal::ShardEngine::service_full_name()) {
      return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such service");
    }
    std::unique_lock<std::mutex> lock(fake_->mutex_);
    while (fake_->hanging_ && !fake_->stopped_ && !context->IsCancelled()) {
      fake_->changed_.wait_for(lock, std::chrono::milliseconds(5));
    }
    response->set_status(fake_->serving_ ? HealthCheckResponse::SERVING
                                         : HealthCheckResponse::NOT_SERVING);
    return grpc::Status::OK;
  }

 private:
  FakeShardEngine* const fake_;
};

FakeShardEngine::FakeShardEngine(const ServedModel& model, OnSubmit on_submit)
    : on_submit_(std::move(on_submit)),
      engine_(std::make_unique<Engine>(this)),
      health_(std::make_unique<Health>(this)) {
  info_.set_model_name(model.name);
  info_.set_model_type(model.config.model_type);
  info_.set_vocab_size(model.vocab_size());
  info_.set_fingerprint(model.fingerprint);
  info_.set_context_length(model.config.max_position_embeddings);
  info_.set_world_size(1);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(engine_.get());
  builder.RegisterService(health_.get());
  server_ = builder.BuildAndStart();
  FACET_CHECK(server_ != nullptr && port_ != 0) << "the fake engine has no port";
}

FakeShardEngine::~FakeShardEngine() { Stop(); }

void FakeShardEngine::SetServing(bool serving) {
  std::lock_guard<std::mutex> lock(mutex_);
  serving_ = serving;
}

void FakeShardEngine::SetHanging(bool hanging) {
  std::lock_guard<std::mutex> lock(mutex_);
  hanging_ = hanging;
}

void FakeShardEngine::SetInfo(const internal::EngineInfo& info) {
  std::lock_guard<std::mutex> lock(mutex_);
  info_ = info;
}

internal::EngineInfo FakeShardEngine::info() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return info_;
}

void FakeShardEngine::SendStarted(uint64_t id, int cached_tokens, double queue_seconds) {
  internal::EngineFrame frame;
  internal::SequenceOutput* output = frame.add_outputs();
  output->set_id(id);
  output->mutable_started()->set_cached_tokens(cached_tokens);
  output->mutable_started()->set_queue_seconds(queue_seconds);
  SendFrame(frame);
}

void FakeShardEngine::Send(uint64_t id, const std::vector<int32_t>& tokens,
                           internal::Finish::Reason finish, int index) {
  internal::EngineFrame frame;
  internal::SequenceOutput* output = frame.add_outputs();
  output->set_id(id);
  output->set_index(index);
  for (const int32_t token : tokens) output->add_tokens()->set_token_id(token);
  if (finish != internal::Finish::REASON_UNSPECIFIED) {
    output->mutable_finish()->set_reason(finish);
  }
  SendFrame(frame);
}

void FakeShardEngine::SendError(uint64_t id, absl::StatusCode code, const std::string& message,
                                int retry_after_ms) {
  internal::EngineFrame frame;
  internal::SequenceOutput* output = frame.add_outputs();
  output->set_id(id);
  internal::Finish* finish = output->mutable_finish();
  finish->set_reason(internal::Finish::ERROR);
  finish->set_code(static_cast<int32_t>(code));
  finish->set_message(message);
  finish->set_retry_after_ms(retry_after_ms);
  output->set_index(-1);
  SendFrame(frame);
}

void FakeShardEngine::SendFrame(const internal::EngineFrame& frame) {
  // A stream stays open while this is held: Connect takes it before it returns.
  std::lock_guard<std::mutex> write_lock(write_mutex_);
  Stream* stream = nullptr;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (streams_.empty()) return;
    stream = streams_.back().stream;
  }
  stream->Write(frame);
}

void FakeShardEngine::CutStreams() {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const OpenStream& open : streams_) open.context->TryCancel();
}

void FakeShardEngine::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  CutStreams();
  server_->Shutdown(std::chrono::system_clock::now());
}

std::vector<internal::SubmitRequest> FakeShardEngine::WaitForSubmits(size_t count) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, kLimit, [&] { return submits_.size() >= count; });
  return submits_;
}

std::vector<uint64_t> FakeShardEngine::WaitForCancels(size_t count) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, kLimit, [&] { return cancels_.size() >= count; });
  std::vector<uint64_t> ids;
  for (const internal::CancelRequest& cancel : cancels_) ids.push_back(cancel.id());
  return ids;
}

std::vector<internal::CancelRequest> FakeShardEngine::cancels() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return cancels_;
}

std::vector<internal::PauseRequest> FakeShardEngine::WaitForPauses(size_t count) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, kLimit, [&] { return pauses_.size() >= count; });
  return pauses_;
}

int FakeShardEngine::streams_opened() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return streams_opened_;
}

int FakeShardEngine::streams_open() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int>(streams_.size());
}

std::vector<int32_t> CountUpTokens(const std::vector<int32_t>& prompt, int count) {
  std::vector<int32_t> out;
  for (int i = 1; i <= count; ++i) out.push_back((prompt.back() + i) % 100);
  return out;
}

FakeShardEngine::OnSubmit CountUp(int per_frame) {
  return [per_frame](FakeShardEngine& engine, const internal::SubmitRequest& request) {
    const std::vector<int32_t> tokens = CountUpTokens(
        {request.prompt().begin(), request.prompt().end()}, request.stopping().max_tokens());
    engine.SendStarted(request.id());
    for (size_t i = 0; i < tokens.size(); i += static_cast<size_t>(per_frame)) {
      const size_t end = std::min(i + static_cast<size_t>(per_frame), tokens.size());
      engine.Send(
          request.id(),
          {tokens.begin() + static_cast<ptrdiff_t>(i),
           tokens.begin() + static_cast<ptrdiff_t>(end)},
          end == tokens.size() ? internal::Finish::LENGTH : internal::Finish::REASON_UNSPECIFIED);
    }
  };
}

}  // namespace facet::testing
