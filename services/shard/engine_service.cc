#include "services/shard/engine_service.h"

#include <memory>
#include <optional>
#include <utility>

#include "services/serving/status_to_grpc.h"
#include "services/shard/engine_frames.h"

namespace facet {
namespace {

using internal::EngineFrame;
using internal::RouterFrame;
using Reactor = grpc::ServerBidiReactor<RouterFrame, EngineFrame>;

// The stream of one router. gRPC owns its life: it deletes itself in OnDone, after Finish and when
// no operation is out. Read, write and cancel events may come from several threads at once, and the
// engine's news from its own. Disconnect in OnDone waits for news under way, so none comes later.
class RouterStream final : public Reactor {
 public:
  explicit RouterStream(LeaderEngine* engine) : engine_(engine) {
    auto connection = engine_->Connect([this] { Advance(); });
    {
      std::lock_guard<std::mutex> lock(mutex_);
      connection_ = std::move(connection);
    }
    StartRead(&incoming_);
    Advance();  // the engine may have closed the connection at once
  }

  void OnReadDone(bool ok) override {
    if (!ok) {  // the router is gone, or has nothing more to say
      End(grpc::Status::OK);
      return;
    }
    if (incoming_.has_submit()) {
      const internal::SubmitRequest& submit = incoming_.submit();
      engine_->Submit(connection_, submit.id(), ToEngineRequest(submit));
    } else if (incoming_.has_cancel()) {
      engine_->Cancel(connection_, incoming_.cancel().id());
    }
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      writing_ = false;
    }
    if (!ok) {
      End(grpc::Status::OK);
      return;
    }
    Advance();
  }

  void OnCancel() override { End(grpc::Status::CANCELLED); }

  void OnDone() override {
    engine_->Disconnect(connection_);
    delete this;
  }

 private:
  // Writes what waits, or ends the stream when the engine has closed the connection. At most one
  // write is out at a time; what comes meanwhile goes into the next message.
  void Advance() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (connection_ == nullptr || writing_ || finished_) return;
    const absl::Status status = connection_->status();
    const std::vector<EngineOutput> outputs = connection_->Take();
    if (!outputs.empty()) {
      outgoing_ = ToEngineFrame(outputs);
      writing_ = true;
      StartWrite(&outgoing_);
    } else if (!status.ok()) {
      FinishLocked(ToGrpcStatus(status));
    } else if (ending_) {
      FinishLocked(*ending_);
    }
  }

  void End(const grpc::Status& status) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!ending_) ending_ = status;
    if (!writing_ && !finished_) FinishLocked(*ending_);
  }

  void FinishLocked(const grpc::Status& status) {
    finished_ = true;
    Finish(status);
  }

  LeaderEngine* const engine_;
  std::shared_ptr<EngineConnection> connection_;
  RouterFrame incoming_;

  std::mutex mutex_;
  EngineFrame outgoing_;
  bool writing_ = false;
  bool finished_ = false;
  std::optional<grpc::Status> ending_;
};

// A stream that is refused at once.
class RefusedStream final : public Reactor {
 public:
  explicit RefusedStream(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

grpc::Status Loading() {
  return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the shard group is not ready: it is loading");
}

}  // namespace

void EngineService::Open(LeaderEngine* engine, internal::EngineInfo info) {
  std::lock_guard<std::mutex> lock(mutex_);
  engine_ = engine;
  info_ = std::move(info);
}

Reactor* EngineService::Connect(grpc::CallbackServerContext* /*context*/) {
  LeaderEngine* engine = nullptr;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    engine = engine_;
  }
  if (engine == nullptr) return std::make_unique<RefusedStream>(Loading()).release();
  return std::make_unique<RouterStream>(engine).release();
}

grpc::ServerUnaryReactor* EngineService::GetInfo(grpc::CallbackServerContext* context,
                                                 const internal::GetInfoRequest* /*request*/,
                                                 internal::EngineInfo* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  std::lock_guard<std::mutex> lock(mutex_);
  if (engine_ == nullptr) {
    reactor->Finish(Loading());
    return reactor;
  }
  *response = info_;
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace facet
