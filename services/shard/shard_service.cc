#include "services/shard/shard_service.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "services/serving/status_to_grpc.h"
#include "services/shard/engine_proto.h"

namespace facet {
namespace {

using Stream = grpc::ServerBidiReactor<internal::RouterFrame, internal::EngineFrame>;

absl::Status Loading() { return absl::UnavailableError("the shard group is loading"); }

// A call that ends before it began.
class RefusedStream final : public Stream {
 public:
  explicit RefusedStream(const absl::Status& status) { Finish(ToGrpcStatus(status)); }
  void OnDone() override { delete this; }
};

// gRPC owns it until OnDone, which deletes it.
class RouterStream final : public Stream {
 public:
  explicit RouterStream(LeaderEngine* engine) : engine_(engine) {
    auto connection = engine_->Connect([this] { OnNews(); });
    std::lock_guard<std::mutex> lock(mutex_);
    connection_ = std::move(connection);
    StartRead(&incoming_);
    WriteOrFinishLocked();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {  // the router has closed its side, or the stream has ended
      std::lock_guard<std::mutex> lock(mutex_);
      reads_ended_ = true;
      WriteOrFinishLocked();
      return;
    }
    Handle(std::move(incoming_));
    incoming_.Clear();
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard<std::mutex> lock(mutex_);
    writing_ = false;
    if (ok) {
      WriteOrFinishLocked();
    } else {
      FinishLocked(absl::CancelledError("the stream is broken"));
    }
  }

  void OnCancel() override {
    engine_->Disconnect(connection_);
    std::lock_guard<std::mutex> lock(mutex_);
    FinishLocked(absl::CancelledError("the router left"));
  }

  void OnDone() override {
    engine_->Disconnect(connection_);  // no OnNews any more
    delete this;
  }

 private:
  void Handle(internal::RouterFrame frame) {
    switch (frame.frame_case()) {
      case internal::RouterFrame::kSubmit: {
        const uint64_t id = frame.submit().id();
        absl::StatusOr<EngineRequest> request = FromProto(std::move(*frame.mutable_submit()));
        if (!request.ok()) return connection_->Close(request.status());
        engine_->Submit(connection_, id, *std::move(request));
        return;
      }
      case internal::RouterFrame::kCancel: {
        const internal::CancelRequest& cancel = frame.cancel();
        const std::optional<int> index =
            cancel.has_index() ? std::optional<int>(cancel.index()) : std::nullopt;
        engine_->Cancel(connection_, cancel.id(), index);
        return;
      }
      case internal::RouterFrame::kPause:
        engine_->SetPaused(connection_, frame.pause().id(), frame.pause().paused());
        return;
      case internal::RouterFrame::FRAME_NOT_SET:
        connection_->Close(absl::InvalidArgumentError("a frame without submit, cancel or pause"));
        return;
    }
  }

  void OnNews() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (connection_ != nullptr) WriteOrFinishLocked();
  }

  void WriteOrFinishLocked() {
    if (writing_ || finished_) return;
    const absl::Status status = connection_->status();  // before Take: nothing comes after it
    const bool drained = reads_ended_ && connection_->open_requests() == 0;
    const std::vector<EngineOutput> outputs = connection_->Take();
    if (!outputs.empty()) {
      outgoing_.Clear();
      for (const EngineOutput& output : outputs) *outgoing_.add_outputs() = ToProto(output);
      writing_ = true;
      StartWrite(&outgoing_);
    } else if (!status.ok()) {
      FinishLocked(status);
    } else if (drained) {
      FinishLocked(absl::OkStatus());
    }
  }

  void FinishLocked(const absl::Status& status) {
    if (finished_) return;
    finished_ = true;
    Finish(ToGrpcStatus(status));
  }

  LeaderEngine* const engine_;
  std::shared_ptr<EngineConnection> connection_;  // set in the constructor
  internal::RouterFrame incoming_;

  std::mutex mutex_;
  internal::EngineFrame outgoing_;
  bool writing_ = false;
  bool reads_ended_ = false;
  bool finished_ = false;
};

}  // namespace

void ShardEngineService::SetEngine(LeaderEngine* engine, internal::EngineInfo info) {
  std::lock_guard<std::mutex> lock(mutex_);
  engine_ = engine;
  info_ = std::move(info);
}

LeaderEngine* ShardEngineService::engine() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return engine_;
}

Stream* ShardEngineService::Connect(grpc::CallbackServerContext*) {
  LeaderEngine* const engine = this->engine();
  if (engine == nullptr) return new RefusedStream(Loading());
  return new RouterStream(engine);
}

grpc::ServerUnaryReactor* ShardEngineService::GetInfo(grpc::CallbackServerContext* context,
                                                      const internal::GetInfoRequest*,
                                                      internal::EngineInfo* response) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  std::lock_guard<std::mutex> lock(mutex_);
  if (engine_ == nullptr) {
    reactor->Finish(ToGrpcStatus(Loading()));
  } else {
    *response = info_;
    reactor->Finish(grpc::Status::OK);
  }
  return reactor;
}

}  // namespace facet
