#include "services/gateway/http/http_server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "services/gateway/http/http_session.h"

namespace facet {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Connections that are being closed are waited for this long.
constexpr absl::Duration kCloseSlack = absl::Seconds(5);

absl::Status OutOfRange(const char* field, const std::string& value, const char* allowed) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", value, " is not ", allowed));
}

absl::StatusOr<tcp::endpoint> ParseListen(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  int port = -1;
  if (colon == std::string::npos || !absl::SimpleAtoi(listen.substr(colon + 1), &port) ||
      port < 0 || port > 65535) {
    return OutOfRange("listen", absl::StrCat("'", listen, "'"), "host:port");
  }
  std::string host = listen.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  error_code error;
  const asio::ip::address address = asio::ip::make_address(host, error);
  if (error) return OutOfRange("listen", absl::StrCat("'", host, "'"), "an IP address");
  return tcp::endpoint(address, static_cast<unsigned short>(port));
}

}  // namespace

absl::Status HttpServerOptions::Validate() const {
  if (threads < 1 || threads > 256) {
    return OutOfRange("threads", absl::StrCat(threads), "from 1 to 256");
  }
  if (max_connections < 1) {
    return OutOfRange("max_connections", absl::StrCat(max_connections), "at least 1");
  }
  if (max_body_bytes < 1) return OutOfRange("max_body_bytes", "0", "at least 1");
  for (const auto& [name, time] : {std::pair{"idle_timeout", idle_timeout},
                                   {"body_timeout", body_timeout},
                                   {"write_timeout", write_timeout}}) {
    if (time <= absl::ZeroDuration() || time > absl::Hours(24)) {
      return OutOfRange(name, absl::FormatDuration(time), "more than 0 and at most 24h");
    }
  }
  return absl::OkStatus();
}

class HttpServer::Impl {
 public:
  Impl(HttpServerOptions options, HttpHandler handler) : acceptor_(asio::make_strand(context_)) {
    shared_.options = std::move(options);
    shared_.handler = std::move(handler);
  }

  absl::Status Open() {
    FACET_ASSIGN_OR_RETURN(const tcp::endpoint endpoint, ParseListen(shared_.options.listen));
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (!error) port_ = acceptor_.local_endpoint(error).port();
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen on ", shared_.options.listen, ": ", error.message()));
    }
    Accept();
    for (int i = 0; i < shared_.options.threads; ++i) {
      threads_.emplace_back([this] { context_.run(); });
    }
    return absl::OkStatus();
  }

  int port() const { return port_; }

  int connections() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return static_cast<int>(sessions_.size());
  }

  void Drain() {
    shared_.draining = true;
    for (const auto& session : Sessions()) session->CloseIfIdle();
  }

  void StopAccepting() {
    Drain();
    asio::post(acceptor_.get_executor(), [this] {
      error_code ignored;
      acceptor_.close(ignored);
    });
  }

  void Stop() {
    if (threads_.empty()) return;
    StopAccepting();
    for (const auto& session : Sessions()) session->Close();
    WaitUntilEmpty(absl::Now() + kCloseSlack);
    context_.stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    error_code ignored;
    acceptor_.close(ignored);  // what StopAccepting() posted may not have run
  }

 private:
  void Accept() {
    acceptor_.async_accept(asio::make_strand(context_),
                           [this](error_code error, tcp::socket socket) {
                             if (error == asio::error::operation_aborted) return;
                             if (!error) Take(std::move(socket));
                             if (!acceptor_.is_open()) return;
                             if (error) return AcceptLater();
                             Accept();
                           });
  }

  // Out of file descriptors, say: trying at once would only burn the CPU.
  void AcceptLater() {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    Accept();
  }

  void Take(tcp::socket socket) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (static_cast<int>(sessions_.size()) >= shared_.options.max_connections) {
      return HttpSession::Refuse(std::move(socket), shared_);
    }
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    const int64_t id = next_id_++;
    sessions_[id] = HttpSession::Start(std::move(socket), &shared_, [this, id] { Forget(id); });
  }

  void Forget(int64_t id) {
    std::lock_guard<std::mutex> lock(mutex_);
    sessions_.erase(id);
    changed_.notify_all();
  }

  std::vector<std::shared_ptr<HttpSession>> Sessions() {
    std::lock_guard<std::mutex> lock(mutex_);
    std::vector<std::shared_ptr<HttpSession>> all;
    for (const auto& [id, weak] : sessions_) {
      if (auto session = weak.lock()) all.push_back(std::move(session));
    }
    return all;
  }

  void WaitUntilEmpty(absl::Time deadline) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_until(lock, absl::ToChronoTime(deadline), [this] { return sessions_.empty(); });
  }

  HttpServerShared shared_;
  asio::io_context context_;
  tcp::acceptor acceptor_;
  int port_ = 0;
  std::vector<std::thread> threads_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int64_t, std::weak_ptr<HttpSession>> sessions_;
  int64_t next_id_ = 0;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() { impl_->Stop(); }

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(HttpServerOptions options,
                                                              HttpHandler handler) {
  FACET_RETURN_IF_ERROR(options.Validate());
  auto impl = std::make_unique<Impl>(std::move(options), std::move(handler));
  FACET_RETURN_IF_ERROR(impl->Open());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

int HttpServer::port() const { return impl_->port(); }
int HttpServer::connections() const { return impl_->connections(); }
void HttpServer::Drain() { impl_->Drain(); }
void HttpServer::StopAccepting() { impl_->StopAccepting(); }
void HttpServer::Stop() { impl_->Stop(); }

}  // namespace facet
