#include "services/gateway/request_scope.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "services/gateway/openai/openai_error.h"

namespace facet {
namespace {

constexpr size_t kMaxRequestIdBytes = 128;

std::string RequestIdOrNew(absl::string_view from_caller) {
  const auto is_visible = [](char c) { return c > ' ' && c < '\x7f'; };
  if (!from_caller.empty() && from_caller.size() <= kMaxRequestIdBytes &&
      std::all_of(from_caller.begin(), from_caller.end(), is_visible)) {
    return std::string(from_caller);
  }
  thread_local absl::BitGen generator;
  return absl::StrFormat("%016x%016x", absl::Uniform<uint64_t>(generator),
                         absl::Uniform<uint64_t>(generator));
}

}  // namespace

RequestScope::RequestScope(const HttpRequest& request, std::string route, HttpHeaders headers,
                           std::shared_ptr<HttpExchange> exchange, GatewayMetrics* metrics,
                           AccessLog log)
    : headers_(std::move(headers)),
      exchange_(std::move(exchange)),
      metrics_(metrics),
      log_(std::move(log)),
      arrival_(absl::Now()) {
  record_.request_id = RequestIdOrNew(request.Header("x-request-id"));
  record_.method = request.method;
  record_.route = std::move(route);
  record_.peer = request.peer;
  metrics_->requests_in_flight.Increment();
}

RequestScope::~RequestScope() { Fail(absl::InternalError("the request was dropped")); }

void RequestScope::SetModel(const std::string& model) {
  std::lock_guard<std::mutex> lock(mutex_);
  record_.model = model;
}

void RequestScope::SetUsage(const v1::Usage& usage) {
  std::lock_guard<std::mutex> lock(mutex_);
  record_.prompt_tokens = usage.prompt_tokens();
  record_.completion_tokens = usage.completion_tokens();
}

bool RequestScope::Finish(int code, const std::string& error) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (finished_) return false;
  finished_ = true;
  record_.code = code;
  record_.error = error;
  record_.total = absl::Now() - arrival_;
  metrics_->requests_in_flight.Decrement();
  if (record_.stream) metrics_->streams_open.Decrement();
  metrics_->CountRequest(record_.route, code, record_.total);
  if (log_) log_(record_);
  return true;
}

void RequestScope::Respond(HttpResponse response) {
  if (!Finish(response.code, "")) return;
  response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
  response.headers.emplace_back("x-request-id", record_.request_id);
  exchange_->Respond(std::move(response));
}

void RequestScope::Fail(const absl::Status& status) {
  bool streaming = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    streaming = record_.stream;
  }
  if (!Finish(HttpCode(status), std::string(status.message()))) return;
  if (streaming) {
    exchange_->Write(absl::StrCat("data: ", Dump(ErrorBody(status)), "\n\n"), [] {});
    return exchange_->EndStream();
  }
  HttpResponse response = ErrorResponse(status);
  response.headers.insert(response.headers.end(), headers_.begin(), headers_.end());
  response.headers.emplace_back("x-request-id", record_.request_id);
  if (response.code == 401) response.headers.emplace_back("www-authenticate", "Bearer");
  exchange_->Respond(std::move(response));
}

void RequestScope::BeginEvents() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (finished_ || record_.stream) return;
    record_.stream = true;
  }
  metrics_->streams_open.Increment();
  HttpResponse head;
  head.content_type = "text/event-stream; charset=utf-8";
  head.headers = headers_;
  head.headers.emplace_back("x-request-id", record_.request_id);
  head.headers.emplace_back("cache-control", "no-cache");
  head.headers.emplace_back("x-accel-buffering", "no");  // for proxies of the nginx family
  exchange_->BeginStream(std::move(head));
}

void RequestScope::SendEvents(const std::string& text, std::function<void()> ready) {
  exchange_->Write(text, std::move(ready));
}

void RequestScope::EndEvents() {
  if (!Finish(200, "")) return;
  exchange_->Write("data: [DONE]\n\n", [] {});
  exchange_->EndStream();
}

}  // namespace facet
