#ifndef FACET_SERVICES_GATEWAY_ANSWER_CALL_H_
#define FACET_SERVICES_GATEWAY_ANSWER_CALL_H_

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/gateway/openai/openai_error.h"
#include "services/gateway/request_scope.h"
#include "services/gateway/stream_call.h"
#include "services/gateway/token_texts.h"

namespace facet {

// One generation: the events of a call to the router become the answer to an HTTP request, whole or
// as server-sent events. `Answer` is ChatAnswer or CompletionAnswer.
//   * Nothing is sent before the router's first event: an error until then has its own HTTP code.
//   * The next event is asked for when the client has taken the last one.
//   * A client that leaves cancels the call.
template <class Answer>
class AnswerCall : public std::enable_shared_from_this<AnswerCall<Answer>> {
 public:
  using Response = typename Answer::Response;
  using Call = StreamCall<Response>;

  // `texts` must outlive the call; `in_flight` goes when all else of it has gone.
  AnswerCall(std::shared_ptr<RequestScope> scope, Answer answer, bool stream, TokenTexts* texts,
             std::shared_ptr<void> in_flight)
      : in_flight_(std::move(in_flight)),
        scope_(std::move(scope)),
        answer_(std::move(answer)),
        stream_(stream),
        texts_(texts),
        call_(std::make_shared<Call>()) {}

  grpc::ClientContext& context() { return call_->context(); }

  // `begin` as StreamCall::Start has it.
  template <class Begin>
  void Start(Begin begin) {
    auto self = this->shared_from_this();
    call_->Start([self](const Response& event) { self->Take(event); },
                 [self](absl::Status status) { self->End(std::move(status)); }, std::move(begin));
    scope_->OnClientGone([call = call_] { call->Cancel(); });
  }

 private:
  void Take(const Response& event) {
    const auto tokens = Answer::TokensOf(event);
    if (tokens.empty()) return Translate(event);
    texts_->Fetch(tokens, [self = this->shared_from_this(), event] { self->Translate(event); });
  }

  void Translate(const Response& event) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return;  // cancelled while texts were fetched
    const std::vector<Json> chunks = answer_.Take(event);
    scope_->SetModel(answer_.head().model);
    if (!stream_) return call_->Next();
    scope_->BeginEvents();
    std::string events;
    for (const Json& chunk : chunks) absl::StrAppend(&events, "data: ", Dump(chunk), "\n\n");
    if (events.empty()) return call_->Next();
    scope_->SendEvents(events, [call = call_] { call->Next(); });
  }

  void End(absl::Status status) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ended_ = true;
    }
    scope_->SetUsage(answer_.usage());
    status = WithRouterField(WithoutFalseRetry(std::move(status)), Answer::kPromptField);
    if (status.ok() && !answer_.complete()) {
      status = absl::InternalError("the router ended its answer without an end");
    }
    if (!status.ok()) {
      scope_->Fail(status);
    } else if (stream_) {
      scope_->EndEvents();
    } else {
      HttpResponse response;
      response.body = Dump(answer_.Whole());
      scope_->Respond(std::move(response));
    }
  }

  const std::shared_ptr<void> in_flight_;  // first, so that it goes last
  const std::shared_ptr<RequestScope> scope_;
  std::mutex mutex_;
  bool ended_ = false;
  Answer answer_;
  const bool stream_;
  TokenTexts* const texts_;
  const std::shared_ptr<Call> call_;
};

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_ANSWER_CALL_H_
