#include "services/gateway/testing/http_connection.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace facet::testing {
namespace {

constexpr int kTimeoutSeconds = 20;

}  // namespace

HttpConnection::HttpConnection(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval timeout{kTimeoutSeconds, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0;
}

HttpConnection::~HttpConnection() { Close(); }

void HttpConnection::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void HttpConnection::Send(const std::string& bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (n <= 0) return;  // the answer says why
    done += static_cast<size_t>(n);
  }
}

void HttpConnection::Request(const std::string& method, const std::string& path,
                             const std::string& body, const std::string& headers) {
  Send(absl::StrCat(method, " ", path, " HTTP/1.1\r\nhost: test\r\n", headers,
                    "content-length: ", body.size(), "\r\n\r\n", body));
}

bool HttpConnection::ReadMore() {
  char bytes[4096];
  const ssize_t n = recv(fd_, bytes, sizeof(bytes), 0);
  if (n > 0) buffer_.append(bytes, static_cast<size_t>(n));
  return n > 0;
}

bool HttpConnection::ReadUntil(const std::string& text) {
  while (!absl::StrContains(buffer_, text)) {
    if (!ReadMore()) return false;
  }
  return true;
}

bool HttpConnection::ReadEnd() {
  char byte = 0;
  return recv(fd_, &byte, 1, 0) == 0;
}

std::optional<TestHttpResponse> HttpConnection::Read() {
  if (!ReadUntil("\r\n\r\n")) return std::nullopt;
  TestHttpResponse response;
  const size_t end = buffer_.find("\r\n\r\n") + 4;
  response.head = absl::AsciiStrToLower(buffer_.substr(0, end));
  buffer_.erase(0, end);
  response.code = std::atoi(response.head.substr(response.head.find(' ') + 1).c_str());
  if (response.HasHeader("transfer-encoding: chunked")) {
    std::optional<std::string> body = ReadChunks();
    if (!body.has_value()) return std::nullopt;
    response.body = *std::move(body);
    return response;
  }
  const size_t at = response.head.find("content-length: ");
  const size_t length =
      at == std::string::npos ? 0 : std::strtoul(response.head.c_str() + at + 16, nullptr, 10);
  while (buffer_.size() < length) {
    if (!ReadMore()) return std::nullopt;
  }
  response.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return response;
}

std::optional<std::string> HttpConnection::ReadChunks() {
  std::string body;
  for (;;) {
    if (!ReadUntil("\r\n")) return std::nullopt;
    const size_t line = buffer_.find("\r\n");
    const size_t size = std::strtoul(buffer_.substr(0, line).c_str(), nullptr, 16);
    buffer_.erase(0, line + 2);
    while (buffer_.size() < size + 2) {
      if (!ReadMore()) return std::nullopt;
    }
    body += buffer_.substr(0, size);
    buffer_.erase(0, size + 2);
    if (size == 0) return body;
  }
}

std::optional<TestHttpResponse> Fetch(int port, const std::string& method, const std::string& path,
                                      const std::string& body, const std::string& headers) {
  HttpConnection connection(port);
  connection.Request(method, path, body, headers);
  return connection.Read();
}

}  // namespace facet::testing
