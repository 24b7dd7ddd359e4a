#ifndef FACET_SERVICES_GATEWAY_HTTP_HTTP_SESSION_H_
#define FACET_SERVICES_GATEWAY_HTTP_HTTP_SESSION_H_

// One connection of HttpServer. For http_server.cc alone.

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>

#include "services/gateway/http/http_server.h"

namespace facet {

// What the connections of a server share; outlives them.
struct HttpServerShared {
  HttpServerOptions options;
  HttpHandler handler;
  std::atomic<bool> draining{false};
};

class HttpSession {
 public:
  // Serves the connection; `closed` is called once when it has ended. `socket` has an executor of
  // its own that runs one handler at a time.
  static std::shared_ptr<HttpSession> Start(boost::asio::ip::tcp::socket socket,
                                            HttpServerShared* shared, std::function<void()> closed);
  // Answers 503 and closes.
  static void Refuse(boost::asio::ip::tcp::socket socket, const HttpServerShared& shared);

  virtual ~HttpSession() = default;
  // Closes the connection if no request is on it. From any thread.
  virtual void CloseIfIdle() = 0;
  // Closes the connection. From any thread.
  virtual void Close() = 0;
};

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_HTTP_HTTP_SESSION_H_
