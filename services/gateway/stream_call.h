#ifndef FACET_SERVICES_GATEWAY_STREAM_CALL_H_
#define FACET_SERVICES_GATEWAY_STREAM_CALL_H_

#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "absl/status/status.h"
#include "grpcpp/grpcpp.h"
#include "services/serving/status_to_grpc.h"

namespace facet {

// A server-streaming gRPC call that is read one message at a time: the next one is asked for with
// Next(), so that a reader who is slow slows the server down. Keeps itself alive until it is done.
//
//   auto call = std::make_shared<StreamCall<v1::ChatResponse>>();
//   call->Start(on_message, on_done,
//               [&](auto* call) { stub->async()->Chat(&call->context(), &request, call); });
//
// Thread-safe. `on_message` is called for one message at a time, `on_done` once, after the last.
template <class Response>
class StreamCall : public grpc::ClientReadReactor<Response>,
                   public std::enable_shared_from_this<StreamCall<Response>> {
 public:
  using OnMessage = std::function<void(const Response&)>;
  using OnDoneFn = std::function<void(absl::Status)>;

  // For metadata and the deadline, before Start().
  grpc::ClientContext& context() { return context_; }

  template <class Begin>
  void Start(OnMessage on_message, OnDoneFn on_done, Begin begin) {
    on_message_ = std::move(on_message);
    on_done_ = std::move(on_done);
    self_ = this->shared_from_this();
    begin(this);
    // Until there is nothing left to read: without it the call could be done with messages unread.
    this->AddHold();
    this->StartRead(&response_);
    this->StartCall();
  }

  // Asks for the next message; from `on_message` or after it.
  void Next() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (reading_ || ended_) return;
      reading_ = true;
    }
    this->StartRead(&response_);
  }

  // `on_done` follows soon, with CANCELLED unless the call had ended already; no further message.
  void Cancel() {
    bool paused = false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (ended_) return;
      cancelled_ = true;
      paused = !reading_;
      ended_ = paused;
    }
    context_.TryCancel();
    // A read that is under way notices by itself.
    if (paused) this->RemoveHold();
  }

 private:
  void OnReadDone(bool ok) override {
    bool ended = false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      reading_ = false;
      ended_ = ended = !ok || cancelled_;
    }
    if (ended) return this->RemoveHold();
    on_message_(response_);
  }

  void OnDone(const grpc::Status& status) override {
    const auto self = std::move(self_);
    on_message_ = nullptr;
    std::exchange(on_done_, nullptr)(FromGrpcStatus(status, context_));
  }

  grpc::ClientContext context_;
  Response response_;
  OnMessage on_message_;
  OnDoneFn on_done_;
  std::shared_ptr<StreamCall> self_;
  std::mutex mutex_;
  bool reading_ = true;  // Start() reads the first
  bool ended_ = false;
  bool cancelled_ = false;
};

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_STREAM_CALL_H_
