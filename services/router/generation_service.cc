#include "services/router/generation_service.h"

#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <utility>

#include "absl/time/clock.h"
#include "router/chat/chat_work.h"
#include "services/router/call_metadata.h"

namespace facet {
namespace {

// A call with one answer. gRPC owns it until OnDone, which deletes it.
class UnaryReactor final : public grpc::ServerUnaryReactor {
 public:
  std::stop_token cancelled() const { return cancelled_.get_token(); }

 private:
  void OnCancel() override { cancelled_.request_stop(); }
  void OnDone() override { delete this; }

  std::stop_source cancelled_;
};

// Writes the output of one GenerationCall, whose messages are Responses, to its stream: one write
// at a time, the next when the last is done.
template <typename Response>
class CallReactor final : public grpc::ServerWriteReactor<Response>,
                          public std::enable_shared_from_this<CallReactor<Response>> {
 public:
  // Makes the call; it says when it has something new.
  using BeginCall =
      std::function<std::shared_ptr<GenerationCall>(RequestContext, std::function<void()>)>;

  // The reactor lives until OnDone.
  static CallReactor* Begin(grpc::CallbackServerContext* context, const BeginCall& begin_call) {
    std::shared_ptr<CallReactor> reactor(new CallReactor(context));
    reactor->self_ = reactor;
    const std::weak_ptr<CallReactor> weak = reactor;
    RequestContext request_context = TakeRequestContext(*context);
    reactor->arrival_ = request_context.arrival;
    reactor->deadline_ = request_context.deadline;
    std::shared_ptr<GenerationCall> call = begin_call(std::move(request_context), [weak] {
      if (const auto alive = weak.lock()) alive->Pump();
    });
    {
      std::lock_guard<std::mutex> lock(reactor->mutex_);
      reactor->call_ = std::move(call);
    }
    reactor->Pump();
    return reactor.get();
  }

 private:
  explicit CallReactor(grpc::CallbackServerContext* context) : context_(context) {}

  void Pump() {
    const std::shared_ptr<GenerationCall> call = Call();
    if (call != nullptr && call->abandoned()) context_->TryCancel();
    std::lock_guard<std::mutex> lock(mutex_);
    if (call_ == nullptr || writing_ || finished_) return;
    absl::Status status;
    switch (call_->Take(&message_, &status)) {
      case GenerationCall::Taken::kNothing:
        break;
      case GenerationCall::Taken::kMessage:
        writing_ = true;
        this->StartWrite(&message_);
        break;
      case GenerationCall::Taken::kMessageBeforeMore:
        writing_ = true;
        this->StartWrite(&message_, BeforeMore());
        break;
      case GenerationCall::Taken::kLastMessage:
        finished_ = true;
        this->StartWriteAndFinish(&message_, grpc::WriteOptions(), FinalStatus(status, *context_));
        break;
      case GenerationCall::Taken::kEnd:
        finished_ = true;
        this->Finish(FinalStatus(status, *context_));
        break;
    }
  }

  // A message and the next one go out together. Not the first one: with it goes the initial
  // metadata, and gRPC does not call a write of that done before it is sent.
  grpc::WriteOptions BeforeMore() const {
    grpc::WriteOptions options;
    if (written_) options.set_buffer_hint();
    return options;
  }

  void OnWriteDone(bool ok) override {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      writing_ = false;
      written_ = true;
    }
    if (!ok) CancelCall();
    Pump();
  }

  void OnCancel() override { CancelCall(); }

  void OnDone() override {
    Call()->Finalize();
    self_.reset();  // may destroy *this
  }

  std::shared_ptr<GenerationCall> Call() {
    std::lock_guard<std::mutex> lock(mutex_);
    return call_;
  }

  // A caller whose deadline passes cancels by itself, a little before this side's deadline: gRPC
  // counts that from the arrival, and rounds it up by 1 % or less.
  bool DeadlineHasPassed() const {
    if (deadline_ == absl::InfiniteFuture()) return false;
    const absl::Duration slack = absl::Milliseconds(10) + (deadline_ - arrival_) / 50;
    return absl::Now() + slack >= deadline_;
  }

  void CancelCall() {
    const bool expired = DeadlineHasPassed();
    Call()->Cancel(expired ? absl::DeadlineExceededError("the deadline passed")
                           : absl::CancelledError("the caller cancelled"));
  }

  grpc::CallbackServerContext* const context_;
  absl::Time arrival_;
  absl::Time deadline_;
  std::shared_ptr<CallReactor> self_;

  std::mutex mutex_;
  std::shared_ptr<GenerationCall> call_;
  Response message_;  // being written while writing_
  bool writing_ = false;
  bool written_ = false;  // a message
  bool finished_ = false;
};

}  // namespace

grpc::ServerWriteReactor<v1::GenerateResponse>* GenerationService::Generate(
    grpc::CallbackServerContext* context, const v1::GenerateRequest* request) {
  return CallReactor<v1::GenerateResponse>::Begin(
      context, [&](RequestContext of_call, std::function<void()> on_output) {
        return router_->Generate(*request, std::move(of_call), std::move(on_output));
      });
}

grpc::ServerWriteReactor<v1::ChatResponse>* GenerationService::Chat(
    grpc::CallbackServerContext* context, const v1::ChatRequest* request) {
  return CallReactor<v1::ChatResponse>::Begin(
      context, [&](RequestContext of_call, std::function<void()> on_output) {
        return router_->Chat(*request, std::move(of_call), std::move(on_output));
      });
}

grpc::ServerUnaryReactor* GenerationService::RenderChat(grpc::CallbackServerContext* context,
                                                        const v1::ChatRequest* request,
                                                        v1::RenderChatResponse* response) {
  return RunUnary("RenderChat", context, /*has_media=*/false,
                  [request, response](const TextCalls& calls, const RequestContext&) {
                    return calls.RenderChat(*request, response);
                  });
}

grpc::ServerUnaryReactor* GenerationService::Tokenize(grpc::CallbackServerContext* context,
                                                      const v1::TokenizeRequest* request,
                                                      v1::TokenizeResponse* response) {
  return RunUnary("Tokenize", context, /*has_media=*/false,
                  [request, response](const TextCalls& calls, const RequestContext&) {
                    return calls.Tokenize(*request, response);
                  });
}

grpc::ServerUnaryReactor* GenerationService::Detokenize(grpc::CallbackServerContext* context,
                                                        const v1::DetokenizeRequest* request,
                                                        v1::DetokenizeResponse* response) {
  return RunUnary("Detokenize", context, /*has_media=*/false,
                  [request, response](const TextCalls& calls, const RequestContext&) {
                    return calls.Detokenize(*request, response);
                  });
}

grpc::ServerUnaryReactor* GenerationService::CountTokens(grpc::CallbackServerContext* context,
                                                         const v1::CountTokensRequest* request,
                                                         v1::CountTokensResponse* response) {
  const bool has_media = !request->media().empty() || !MediaOf(request->chat()).empty();
  return RunUnary("CountTokens", context, has_media,
                  [request, response](const TextCalls& calls, const RequestContext& of_call) {
                    return calls.CountTokens(*request, of_call, response);
                  });
}

grpc::ServerUnaryReactor* GenerationService::RunUnary(
    const char* method, grpc::CallbackServerContext* context, bool has_media,
    std::function<absl::Status(const TextCalls&, const RequestContext&)> call) {
  // Request and response live until Finish, which a cancelled call too waits for.
  auto* const reactor = new UnaryReactor;
  RequestContext of_call = TakeRequestContext(*context);
  of_call.cancelled = reactor->cancelled();
  router_->RunUnary(
      method, of_call, has_media,
      [call = std::move(call), of_call](const TextCalls& calls) { return call(calls, of_call); },
      [context, reactor](const absl::Status& status) {
        reactor->Finish(FinalStatus(status, *context));
      });
  return reactor;
}

}  // namespace facet
