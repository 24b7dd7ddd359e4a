#include "services/gateway/http/http_session.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <mutex>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"

namespace facet {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::beast::error_code;

// Streamed bytes that may wait for the client before the writer is asked to pause.
constexpr size_t kStreamBufferBytes = 64 << 10;
// What a client may go on sending after it was refused, so that it gets to read why.
constexpr absl::Duration kLingerTime = absl::Seconds(2);

std::chrono::nanoseconds Chrono(absl::Duration time) { return absl::ToChronoNanoseconds(time); }

http::response<http::string_body> ToBeast(HttpResponse response, unsigned version, bool head_only,
                                          bool keep_alive) {
  http::response<http::string_body> out(static_cast<http::status>(response.code), version);
  if (!response.content_type.empty()) out.set(http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers) out.set(name, value);
  out.keep_alive(keep_alive);
  out.content_length(response.body.size());
  if (!head_only) out.body() = std::move(response.body);
  return out;
}

HttpRequest FromBeast(http::request<http::string_body> in, std::string peer) {
  HttpRequest out;
  out.method = std::string(in.method_string());
  const std::string target(in.target());
  out.path = target.substr(0, target.find('?'));
  for (const auto& field : in) {
    out.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  out.body = std::move(in.body());
  out.peer = std::move(peer);
  return out;
}

int CodeOf(const error_code& error) {
  if (error == http::error::body_limit) return 413;
  if (error == http::error::header_limit) return 431;
  if (error == beast::error::timeout) return 408;
  return 400;
}

std::string MessageOf(const error_code& error, const HttpServerOptions& options) {
  if (error == http::error::body_limit) {
    return absl::StrCat("the body is larger than ", options.max_body_bytes, " bytes");
  }
  if (error == http::error::header_limit) {
    return absl::StrCat("the headers are larger than ", options.max_header_bytes, " bytes");
  }
  if (error == beast::error::timeout) {
    return absl::StrCat("the body did not arrive within ",
                        absl::FormatDuration(options.body_timeout));
  }
  return absl::StrCat("not a valid HTTP request: ", error.message());
}

// All of it runs on the executor of the socket, one handler at a time, but for what Exchange calls.
class Session : public HttpSession, public std::enable_shared_from_this<Session> {
 public:
  Session(asio::ip::tcp::socket socket, HttpServerShared* shared, std::function<void()> closed)
      : stream_(std::move(socket)),
        body_timer_(stream_.get_executor()),
        shared_(*shared),
        closed_(std::move(closed)) {
    error_code ignored;
    const auto peer = stream_.socket().remote_endpoint(ignored);
    if (!ignored) peer_ = peer.address().to_string();
  }

  void Begin() {
    Post([](Session& s) { s.ReadHead(); });
  }

  void CloseIfIdle() override {
    Post([](Session& s) {
      if (s.state_ == State::kIdle) s.End();
    });
  }

  void Close() override {
    Post([](Session& s) { s.End(); });
  }

 private:
  enum class State { kIdle, kReading, kAnswering, kClosed };

  // The way back of request number `request` on this connection.
  class Exchange : public HttpExchange {
   public:
    Exchange(std::shared_ptr<Session> session, uint64_t request)
        : session_(std::move(session)), request_(request) {}
    ~Exchange() override {
      Run([](Session& s) {
        if (!s.answered_) s.End();
      });
    }
    void Respond(HttpResponse response) override {
      Run([response = std::move(response)](Session& s) mutable { s.Respond(std::move(response)); });
    }
    void BeginStream(HttpResponse head) override {
      Run([head = std::move(head)](Session& s) mutable { s.BeginStream(std::move(head)); });
    }
    void Write(std::string data, std::function<void()> ready) override {
      Run([data = std::move(data), ready = std::move(ready)](Session& s) mutable {
        s.AddToStream(data, std::move(ready));
      });
    }
    void EndStream() override {
      Run([](Session& s) { s.EndStream(); });
    }
    void OnClientGone(std::function<void()> gone) override {
      auto session = session_;
      asio::post(session->stream_.get_executor(),
                 [session, request = request_, gone = std::move(gone)]() mutable {
                   if (session->request_ != request) return;
                   if (session->state_ == State::kClosed && !session->complete_) return gone();
                   if (session->state_ == State::kAnswering) session->gone_ = std::move(gone);
                 });
    }

   private:
    template <class F>
    void Run(F function) {
      auto session = session_;
      asio::post(session->stream_.get_executor(),
                 [session, request = request_, function = std::move(function)]() mutable {
                   if (session->request_ != request || session->state_ != State::kAnswering) return;
                   function(*session);
                 });
    }

    const std::shared_ptr<Session> session_;
    const uint64_t request_;
  };

  template <class F>
  void Post(F function) {
    asio::post(
        stream_.get_executor(),
        [self = shared_from_this(), function = std::move(function)]() mutable { function(*self); });
  }

  // A completion handler that keeps the session and hears nothing once it is closed.
  auto Then(void (Session::*next)(const error_code&)) {
    return [self = shared_from_this(), next](const error_code& error, size_t) {
      if (self->state_ != State::kClosed) ((*self).*next)(error);
    };
  }

  // ---- reading

  void ReadHead() {
    state_ = State::kIdle;
    if (shared_.draining && request_ > 0) return End();
    parser_.emplace();
    parser_->header_limit(shared_.options.max_header_bytes);
    parser_->body_limit(shared_.options.max_body_bytes);
    stream_.expires_after(Chrono(shared_.options.idle_timeout));
    http::async_read_header(stream_, buffer_, *parser_, Then(&Session::HeadRead));
  }

  void HeadRead(const error_code& error) {
    // A client that says nothing, or leaves between two requests, needs no answer.
    if (error == http::error::end_of_stream || error == beast::error::timeout) return End();
    state_ = State::kReading;
    if (error) return RefuseRequest(error);
    if (beast::iequals(parser_->get()[http::field::expect], "100-continue")) return SayContinue();
    ReadBody();
  }

  void SayContinue() {
    static constexpr char kContinue[] = "HTTP/1.1 100 Continue\r\n\r\n";
    stream_.expires_after(Chrono(shared_.options.write_timeout));
    asio::async_write(stream_, asio::buffer(kContinue, sizeof(kContinue) - 1),
                      Then(&Session::ContinueSaid));
  }

  void ContinueSaid(const error_code& error) {
    if (error) return End();
    ReadBody();
  }

  // With a timer of our own: the stream's would close the connection, and this is to be answered.
  void ReadBody() {
    stream_.expires_never();
    body_timed_out_ = false;
    body_timer_.expires_after(Chrono(shared_.options.body_timeout));
    body_timer_.async_wait([self = shared_from_this(), request = request_](error_code error) {
      if (error || self->state_ != State::kReading || self->request_ != request) return;
      self->body_timed_out_ = true;
      self->stream_.cancel();
    });
    http::async_read(stream_, buffer_, *parser_, Then(&Session::BodyRead));
  }

  void BodyRead(const error_code& error) {
    body_timer_.cancel();
    if (error) return RefuseRequest(body_timed_out_ ? beast::error::timeout : error);
    StartAnswering();
    version_ = parser_->get().version();
    head_only_ = parser_->get().method() == http::verb::head;
    keep_alive_ = parser_->get().keep_alive();
    WatchClient();
    shared_.handler(FromBeast(parser_->release(), peer_),
                    std::make_shared<Exchange>(shared_from_this(), request_));
  }

  void StartAnswering() {
    ++request_;
    state_ = State::kAnswering;
    answered_ = streaming_ = ended_ = complete_ = false;
    pending_.clear();
  }

  // What is not read of the request would turn the answer into a reset: it is read and dropped.
  void RefuseRequest(const error_code& error) {
    if (!shared_.options.error_response || !stream_.socket().is_open()) return End();
    StartAnswering();
    keep_alive_ = head_only_ = false;
    version_ = 11;
    linger_ = true;
    Respond(shared_.options.error_response(CodeOf(error), MessageOf(error, shared_.options)));
  }

  // ---- the client

  // Its connection becomes readable when it closes it, or sends its next request early; behind that
  // a close is not seen any more.
  void WatchClient() {
    stream_.socket().async_wait(asio::ip::tcp::socket::wait_read,
                                [self = shared_from_this(), request = request_](error_code error) {
                                  if (error || self->request_ != request) return;
                                  if (self->state_ == State::kAnswering && self->ClientHasGone()) {
                                    self->End();
                                  }
                                });
  }

  bool ClientHasGone() {
    char byte = 0;
    const ssize_t n =
        recv(stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT | MSG_NOSIGNAL);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
  }

  // ---- answering

  bool KeepAlive() const { return keep_alive_ && !shared_.draining; }

  void Respond(HttpResponse response) {
    if (answered_) return;
    answered_ = ended_ = true;
    keep_alive_ = KeepAlive();
    Send(Serialize(ToBeast(std::move(response), version_, head_only_, keep_alive_)));
  }

  void BeginStream(HttpResponse head) {
    if (answered_) return;
    answered_ = streaming_ = true;
    // HTTP/1.0 has no chunks: the end of the connection is the end of the answer.
    keep_alive_ = KeepAlive() && version_ >= 11;
    head.body.clear();
    auto message = ToBeast(std::move(head), version_, false, keep_alive_);
    message.erase(http::field::content_length);
    if (version_ >= 11) message.set(http::field::transfer_encoding, "chunked");
    Send(Serialize(message));
  }

  void AddToStream(const std::string& data, std::function<void()> ready) {
    if (!streaming_ || ended_) return;
    if (!data.empty() && !head_only_) Send(Chunk(data));
    if (pending_.size() < kStreamBufferBytes) return ready();
    ready_ = std::move(ready);
  }

  void EndStream() {
    if (!streaming_ || ended_) return;
    ended_ = true;
    Send(version_ >= 11 && !head_only_ ? "0\r\n\r\n" : "");
  }

  std::string Chunk(const std::string& data) const {
    if (version_ < 11) return data;
    return absl::StrCat(absl::Hex(data.size()), "\r\n", data, "\r\n");
  }

  static std::string Serialize(const http::response<http::string_body>& message) {
    std::ostringstream text;
    text << message.base();
    return text.str() + message.body();
  }

  // One write is under way at a time; what comes meanwhile goes with the next.
  void Send(std::string data) {
    pending_ += data;
    if (!writing_) WritePending();
  }

  void WritePending() {
    if (pending_.empty()) return ended_ ? AnswerSent() : void();
    outgoing_ = std::move(pending_);
    pending_.clear();
    writing_ = true;
    stream_.expires_after(Chrono(shared_.options.write_timeout));
    asio::async_write(stream_, asio::buffer(outgoing_), Then(&Session::Written));
  }

  void Written(const error_code& error) {
    writing_ = false;
    if (error) return End();
    stream_.expires_never();
    if (ready_ && pending_.size() < kStreamBufferBytes) std::exchange(ready_, nullptr)();
    WritePending();
  }

  void AnswerSent() {
    complete_ = true;
    gone_ = nullptr;
    if (linger_) return Linger();
    if (!keep_alive_) return End();
    stream_.cancel();  // the watch
    ReadHead();
  }

  // ---- the end

  void Linger() {
    error_code ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    stream_.expires_after(Chrono(kLingerTime));
    DropInput();
  }

  void DropInput() {
    stream_.async_read_some(asio::buffer(dropped_),
                            [self = shared_from_this()](const error_code& error, size_t) {
                              if (self->state_ == State::kClosed) return;
                              if (error) return self->End();
                              self->DropInput();
                            });
  }

  void End() {
    if (state_ == State::kClosed) return;
    const bool cut_off = state_ == State::kAnswering && !complete_;
    state_ = State::kClosed;
    body_timer_.cancel();
    error_code ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
    stream_.close();
    ready_ = nullptr;
    const auto gone = std::exchange(gone_, nullptr);
    if (cut_off && gone) gone();
    closed_();
  }

  beast::tcp_stream stream_;
  asio::steady_timer body_timer_;
  bool body_timed_out_ = false;
  HttpServerShared& shared_;
  const std::function<void()> closed_;
  std::string peer_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  State state_ = State::kIdle;
  uint64_t request_ = 0;  // how many have been read

  // Of the request that is being answered.
  unsigned version_ = 11;
  bool head_only_ = false;
  bool keep_alive_ = false;
  bool answered_ = false;  // Respond or BeginStream was called
  bool streaming_ = false;
  bool ended_ = false;     // nothing is to be added
  bool complete_ = false;  // all is sent
  bool linger_ = false;
  bool writing_ = false;
  std::string pending_, outgoing_;
  std::function<void()> ready_, gone_;
  std::array<char, 4096> dropped_;
};

}  // namespace

std::shared_ptr<HttpSession> HttpSession::Start(asio::ip::tcp::socket socket,
                                                HttpServerShared* shared,
                                                std::function<void()> closed) {
  auto session = std::make_shared<Session>(std::move(socket), shared, std::move(closed));
  session->Begin();
  return session;
}

void HttpSession::Refuse(asio::ip::tcp::socket socket, const HttpServerShared& shared) {
  if (!shared.options.error_response) return;
  std::ostringstream text;
  const auto message = ToBeast(
      shared.options.error_response(503, absl::StrCat("more than ", shared.options.max_connections,
                                                      " connections: come again")),
      11, false, false);
  text << message.base();
  const std::string answer = text.str() + message.body();
  // It fits the empty send buffer of a new connection.
  (void)send(socket.native_handle(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  error_code ignored;
  socket.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
}

}  // namespace facet
