#ifndef FACET_SERVICES_GATEWAY_TESTING_HTTP_CONNECTION_H_
#define FACET_SERVICES_GATEWAY_TESTING_HTTP_CONNECTION_H_

// A client that sends exactly what a test says: half requests, garbage, early closes.

#include <optional>
#include <string>

namespace facet::testing {

struct TestHttpResponse {
  int code = 0;
  std::string head;  // status line and headers, in lower case
  std::string body;  // without chunk sizes

  bool HasHeader(const std::string& line) const {
    return head.find(line + "\r\n") != std::string::npos;
  }
};

// Not thread-safe. Every wait ends after 20 s at the latest.
class HttpConnection {
 public:
  // To 127.0.0.1; closed when it goes.
  explicit HttpConnection(int port);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  bool connected() const { return connected_; }
  void Send(const std::string& bytes);
  // A whole request with its content-length.
  void Request(const std::string& method, const std::string& path, const std::string& body = "",
               const std::string& headers = "");

  // The next whole answer; nullopt if the connection ends before it does.
  std::optional<TestHttpResponse> Read();
  // Everything until `text` has come; false if the connection ends without.
  bool ReadUntil(const std::string& text);
  // True if the other side closes the connection.
  bool ReadEnd();
  void Close();

 private:
  bool ReadMore();
  std::optional<std::string> ReadChunks();

  int fd_;
  bool connected_ = false;
  std::string buffer_;
};

// One request on a connection of its own.
std::optional<TestHttpResponse> Fetch(int port, const std::string& method, const std::string& path,
                                      const std::string& body = "",
                                      const std::string& headers = "");

}  // namespace facet::testing

#endif  // FACET_SERVICES_GATEWAY_TESTING_HTTP_CONNECTION_H_
