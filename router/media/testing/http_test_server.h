#ifndef FACET_ROUTER_MEDIA_TESTING_HTTP_TEST_SERVER_H_
#define FACET_ROUTER_MEDIA_TESTING_HTTP_TEST_SERVER_H_

// An HTTP server on loopback that answers as a test tells it to, well or badly.

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"

namespace facet::testing {

class HttpTestServer {
 public:
  // One accepted connection.
  class Peer {
   public:
    explicit Peer(int fd) : fd_(fd) {}
    // False once the other side has gone.
    bool Send(absl::string_view bytes);
    // 200 with a Content-Length.
    bool Answer(const std::string& type, absl::string_view body);
    bool Redirect(int code, const std::string& location);

   private:
    const int fd_;
  };
  // `head` is the request up to the empty line. The connection is closed after it returns.
  using Handler = std::function<void(const std::string& head, const std::string& path, Peer& peer)>;

  // On `address`, at a free port. Each connection has a thread, in which the handler runs.
  explicit HttpTestServer(Handler handler, const std::string& address = "127.0.0.1");
  // Handlers that are still sending find the connection closed.
  ~HttpTestServer();
  HttpTestServer(const HttpTestServer&) = delete;
  HttpTestServer& operator=(const HttpTestServer&) = delete;

  int port() const { return port_; }
  // The heads of the requests that came.
  std::vector<std::string> requests() const;

 private:
  void Accept();
  void Serve(int fd);

  const Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;
  bool stopping_ = false;
  std::vector<int> open_;
  std::vector<std::string> requests_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace facet::testing

#endif  // FACET_ROUTER_MEDIA_TESTING_HTTP_TEST_SERVER_H_
