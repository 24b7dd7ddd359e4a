#include "services/router/generation_service.h"

#include <memory>
#include <mutex>
#include <utility>

#include "absl/time/clock.h"
#include "services/router/call_metadata.h"

namespace facet {
namespace {

// Writes the output of one GenerationCall to its stream: one write at a time, the next when the
// last is done.
class GenerateReactor final : public grpc::ServerWriteReactor<v1::GenerateResponse>,
                              public std::enable_shared_from_this<GenerateReactor> {
 public:
  // The reactor lives until OnDone.
  static GenerateReactor* Begin(Router* router, grpc::CallbackServerContext* context,
                                const v1::GenerateRequest& request) {
    std::shared_ptr<GenerateReactor> reactor(new GenerateReactor(context));
    reactor->self_ = reactor;
    const std::weak_ptr<GenerateReactor> weak = reactor;
    RequestContext request_context = TakeRequestContext(*context);
    reactor->arrival_ = request_context.arrival;
    reactor->deadline_ = request_context.deadline;
    std::shared_ptr<GenerationCall> call =
        router->Generate(request, std::move(request_context), [weak] {
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
  explicit GenerateReactor(grpc::CallbackServerContext* context) : context_(context) {}

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
        StartWrite(&message_);
        break;
      case GenerationCall::Taken::kEnd:
        finished_ = true;
        Finish(FinalStatus(status, *context_));
        break;
    }
  }

  void OnWriteDone(bool ok) override {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      writing_ = false;
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
  std::shared_ptr<GenerateReactor> self_;

  std::mutex mutex_;
  std::shared_ptr<GenerationCall> call_;
  v1::GenerateResponse message_;  // being written while writing_
  bool writing_ = false;
  bool finished_ = false;
};

}  // namespace

grpc::ServerWriteReactor<v1::GenerateResponse>* GenerationService::Generate(
    grpc::CallbackServerContext* context, const v1::GenerateRequest* request) {
  return GenerateReactor::Begin(router_, context, *request);
}

grpc::ServerUnaryReactor* GenerationService::Tokenize(grpc::CallbackServerContext* context,
                                                      const v1::TokenizeRequest* request,
                                                      v1::TokenizeResponse* response) {
  return RunUnary("Tokenize", context, [request, response](const TextCalls& calls) {
    return calls.Tokenize(*request, response);
  });
}

grpc::ServerUnaryReactor* GenerationService::Detokenize(grpc::CallbackServerContext* context,
                                                        const v1::DetokenizeRequest* request,
                                                        v1::DetokenizeResponse* response) {
  return RunUnary("Detokenize", context, [request, response](const TextCalls& calls) {
    return calls.Detokenize(*request, response);
  });
}

grpc::ServerUnaryReactor* GenerationService::CountTokens(grpc::CallbackServerContext* context,
                                                         const v1::CountTokensRequest* request,
                                                         v1::CountTokensResponse* response) {
  return RunUnary("CountTokens", context, [request, response](const TextCalls& calls) {
    return calls.CountTokens(*request, response);
  });
}

grpc::ServerUnaryReactor* GenerationService::RunUnary(
    const char* method, grpc::CallbackServerContext* context,
    std::function<absl::Status(const TextCalls&)> call) {
  // Request and response live until Finish, which a cancelled call too waits for.
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  router_->RunUnary(method, TakeRequestContext(*context), std::move(call),
                    [context, reactor](const absl::Status& status) {
                      reactor->Finish(FinalStatus(status, *context));
                    });
  return reactor;
}

}  // namespace facet
