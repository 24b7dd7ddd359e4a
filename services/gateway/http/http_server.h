#ifndef FACET_SERVICES_GATEWAY_HTTP_HTTP_SERVER_H_
#define FACET_SERVICES_GATEWAY_HTTP_HTTP_SERVER_H_

// An HTTP/1.1 server with bounds: threads, connections, sizes and times. Every connection carries
// one request at a time; a connection costs memory, not a thread.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/gateway/http/http_message.h"

namespace facet {

struct HttpServerOptions {
  std::string listen = "127.0.0.1:0";  // host:port; port 0 takes a free one
  int threads = 4;
  // More are answered with 503 and closed.
  int max_connections = 1024;
  uint64_t max_body_bytes = 64u << 20;  // a larger one: 413
  uint32_t max_header_bytes = 32u << 10;
  // A connection without a whole request head for this long is closed.
  absl::Duration idle_timeout = absl::Seconds(75);
  // From the head to the end of the body; later: 408.
  absl::Duration body_timeout = absl::Seconds(60);
  // A client that takes nothing for this long is cut off.
  absl::Duration write_timeout = absl::Seconds(60);
  // The answer to what never reaches the handler: 400, 408, 413, 431, 503.
  std::function<HttpResponse(int code, const std::string& message)> error_response;

  // InvalidArgument names the field, its value and what is allowed.
  absl::Status Validate() const;
};

// Thread-safe.
class HttpServer {
 public:
  // Opens the port and serves. Unavailable if the address cannot be had; a port that another
  // process listens on is never shared.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(HttpServerOptions options,
                                                           HttpHandler handler);
  // Stops. No exchange may be left.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;
  int connections() const;

  // From now on each answer closes its connection, and idle connections are closed; new ones are
  // still taken until StopAccepting(), so that a balancer sees the health page change.
  void Drain();
  void StopAccepting();

  // Cuts off every connection and ends the threads. Exchanges may outlive this, not the server.
  void Stop();

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_HTTP_HTTP_SERVER_H_
