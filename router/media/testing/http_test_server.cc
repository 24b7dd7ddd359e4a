#include "router/media/testing/http_test_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/log.h"

namespace facet::testing {

bool HttpTestServer::Peer::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool HttpTestServer::Peer::Answer(const std::string& type, absl::string_view body) {
  return Send(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Type: ", type,
                           "\r\nContent-Length: ", body.size(), "\r\n\r\n", body));
}

bool HttpTestServer::Peer::Redirect(int code, const std::string& location) {
  return Send(absl::StrCat("HTTP/1.1 ", code, " Elsewhere\r\nLocation: ", location,
                           "\r\nContent-Length: 0\r\n\r\n"));
}

HttpTestServer::HttpTestServer(Handler handler, const std::string& address)
    : handler_(std::move(handler)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  FACET_CHECK(inet_pton(AF_INET, address.c_str(), &at.sin_addr) == 1) << address;
  FACET_CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof(at)) == 0) << address;
  FACET_CHECK(listen(listener_, 64) == 0);
  socklen_t size = sizeof(at);
  FACET_CHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
  port_ = ntohs(at.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

HttpTestServer::~HttpTestServer() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  shutdown(listener_, SHUT_RDWR);  // ends accept
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  close(listener_);
}

std::vector<std::string> HttpTestServer::requests() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return requests_;
}

void HttpTestServer::Accept() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    std::lock_guard<std::mutex> lock(mutex_);
    if (fd < 0 || stopping_) {
      if (fd >= 0) close(fd);
      return;
    }
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void HttpTestServer::Serve(int fd) {
  std::string head;
  char buffer[4096];
  while (head.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
    if (got <= 0) break;
    head.append(buffer, static_cast<size_t>(got));
  }
  if (!head.empty()) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      requests_.push_back(head);
    }
    const std::vector<std::string> words = absl::StrSplit(head, ' ');
    Peer peer(fd);
    handler_(head, words.size() > 1 ? words[1] : "", peer);
  }
  std::lock_guard<std::mutex> lock(mutex_);
  open_.erase(std::find(open_.begin(), open_.end(), fd));
  close(fd);
}

}  // namespace facet::testing
