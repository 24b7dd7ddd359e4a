#ifndef FACET_SERVICES_GATEWAY_REQUEST_SCOPE_H_
#define FACET_SERVICES_GATEWAY_REQUEST_SCOPE_H_

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/facet/v1/output.pb.h"
#include "services/gateway/access_log.h"
#include "services/gateway/gateway_metrics.h"
#include "services/gateway/http/http_message.h"

namespace facet {

// One HTTP request from arrival to end: every answer goes through it, so that each has its headers,
// its line in the log and its place in the metrics, once. A request that nobody answers gets a 500
// when this goes.
//
// Thread-safe, but one caller at a time answers.
class RequestScope {
 public:
  // `headers` are added to every answer. `metrics` must outlive it.
  RequestScope(const HttpRequest& request, std::string route, HttpHeaders headers,
               std::shared_ptr<HttpExchange> exchange, GatewayMetrics* metrics, AccessLog log);
  ~RequestScope();
  RequestScope(const RequestScope&) = delete;
  RequestScope& operator=(const RequestScope&) = delete;

  // The caller's `x-request-id` if it can be one (1 to 128 visible ASCII characters), else new.
  const std::string& request_id() const { return record_.request_id; }
  absl::Time arrival() const { return arrival_; }

  // For the log.
  void SetModel(const std::string& model);
  void SetUsage(const v1::Usage& usage);

  void Respond(HttpResponse response);
  // In a stream that has begun: its last event.
  void Fail(const absl::Status& status);

  // Server-sent events.
  void BeginEvents();
  // `ready` as HttpExchange::Write has it.
  void SendEvents(const std::string& text, std::function<void()> ready);
  // The event [DONE], and the end.
  void EndEvents();

  void OnClientGone(std::function<void()> gone) { exchange_->OnClientGone(std::move(gone)); }

 private:
  // False if it has ended before.
  bool Finish(int code, const std::string& error);

  const HttpHeaders headers_;
  const std::shared_ptr<HttpExchange> exchange_;
  GatewayMetrics* const metrics_;
  const AccessLog log_;
  const absl::Time arrival_;
  std::mutex mutex_;
  AccessRecord record_;
  bool finished_ = false;
};

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_REQUEST_SCOPE_H_
