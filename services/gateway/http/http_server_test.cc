#include "services/gateway/http/http_server.h"

#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "services/gateway/testing/http_connection.h"

namespace facet {
namespace {

using ::facet::testing::Fetch;
using ::facet::testing::HttpConnection;
using ::testing::HasSubstr;

HttpServerOptions Options() {
  HttpServerOptions options;
  options.threads = 2;
  options.error_response = [](int code, const std::string& message) {
    HttpResponse response;
    response.code = code;
    response.body = message;
    return response;
  };
  return options;
}

std::unique_ptr<HttpServer> Serve(HttpServerOptions options, HttpHandler handler) {
  auto server = HttpServer::Start(std::move(options), std::move(handler));
  EXPECT_THAT(server, ::facet::testing::IsOk());
  return server.ok() ? *std::move(server) : nullptr;
}

// Answers with what it got.
void Echo(HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
  HttpResponse response;
  response.body = absl::StrCat(request.method, " ", request.path, " ", request.body);
  exchange->Respond(std::move(response));
}

TEST(HttpServerTest, OneConnectionCarriesSeveralRequests) {
  const auto server = Serve(Options(), Echo);
  HttpConnection connection(server->port());
  for (const std::string body : {"one", "", "three"}) {
    connection.Request("POST", "/path?query=1", body);
    const auto response = connection.Read();
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->code, 200);
    EXPECT_EQ(response->body, "POST /path " + body);
  }
}

TEST(HttpServerTest, RequestsSentEarlyAreAnsweredInOrder) {
  const auto server = Serve(Options(), Echo);
  HttpConnection connection(server->port());
  connection.Send("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
  EXPECT_EQ(connection.Read().value_or(testing::TestHttpResponse{}).body, "GET /a ");
  EXPECT_EQ(connection.Read().value_or(testing::TestHttpResponse{}).body, "GET /b ");
}

TEST(HttpServerTest, ABodyInChunksIsPutTogether) {
  const auto server = Serve(Options(), Echo);
  HttpConnection connection(server->port());
  connection.Send(
      "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(connection.Read().value_or(testing::TestHttpResponse{}).body, "POST / abcde");
}

TEST(HttpServerTest, AClientThatWaitsForContinueGetsIt) {
  const auto server = Serve(Options(), Echo);
  HttpConnection connection(server->port());
  connection.Send("POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
  EXPECT_EQ(connection.Read().value_or(testing::TestHttpResponse{}).code, 100);
  connection.Send("hi");
  EXPECT_EQ(connection.Read().value_or(testing::TestHttpResponse{}).body, "POST / hi");
}

struct BadRequestCase {
  std::string name;
  std::string bytes;
  int code;
};
class HttpBadRequestTest : public ::testing::TestWithParam<BadRequestCase> {};

TEST_P(HttpBadRequestTest, IsAnsweredAndItsConnectionClosed) {
  HttpServerOptions options = Options();
  options.max_body_bytes = 100;
  options.max_header_bytes = 1000;
  options.body_timeout = absl::Milliseconds(50);
  const auto server = Serve(std::move(options), Echo);
  HttpConnection connection(server->port());
  connection.Send(GetParam().bytes);
  const auto response = connection.Read();
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->code, GetParam().code);
  EXPECT_TRUE(response->HasHeader("connection: close")) << response->head;
  EXPECT_TRUE(connection.ReadEnd());
}

INSTANTIATE_TEST_SUITE_P(
    Bytes, HttpBadRequestTest,
    ::testing::ValuesIn(std::vector<BadRequestCase>{
        {"garbage", "hello\r\n\r\n", 400},
        {"a_length_that_is_no_number", "POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n", 400},
        {"a_body_that_says_it_is_too_large", "POST / HTTP/1.1\r\ncontent-length: 101\r\n\r\n", 413},
        {"chunks_that_are_too_large",
         "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n65\r\n" + std::string(101, 'x') +
             "\r\n0\r\n\r\n",
         413},
        {"headers_that_are_too_large",
         "GET / HTTP/1.1\r\nx: " + std::string(2000, 'x') + "\r\n\r\n", 431},
        {"a_body_that_does_not_come", "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nab", 408},
    }),
    [](const auto& info) { return info.param.name; });

TEST(HttpServerTest, ASilentConnectionIsClosed) {
  HttpServerOptions options = Options();
  options.idle_timeout = absl::Milliseconds(50);
  const auto server = Serve(std::move(options), Echo);
  HttpConnection connection(server->port());
  EXPECT_TRUE(connection.ReadEnd());
}

TEST(HttpServerTest, AConnectionTooManyIsRefused) {
  HttpServerOptions options = Options();
  options.max_connections = 1;
  const auto server = Serve(std::move(options), Echo);
  HttpConnection first(server->port());
  first.Request("GET", "/");
  ASSERT_TRUE(first.Read().has_value());
  HttpConnection second(server->port());
  EXPECT_EQ(second.Read().value_or(testing::TestHttpResponse{}).code, 503);
  EXPECT_EQ(server->connections(), 1);
}

TEST(HttpServerTest, AHeadRequestGetsNoBody) {
  const auto server = Serve(Options(), Echo);
  HttpConnection connection(server->port());
  connection.Send("HEAD /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
  EXPECT_TRUE(connection.ReadUntil("Content-Length: 8\r\n\r\nHTTP/1.1 200 OK"));
}

TEST(HttpServerTest, AStreamOverHttp10EndsWithItsConnection) {
  const auto server = Serve(Options(), [](HttpRequest, std::shared_ptr<HttpExchange> exchange) {
    exchange->BeginStream({});
    exchange->Write("a piece", [] {});
    exchange->EndStream();
  });
  HttpConnection connection(server->port());
  connection.Send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(connection.ReadUntil("\r\n\r\na piece"));
  EXPECT_TRUE(connection.ReadEnd());
}

TEST(HttpServerTest, AnExchangeWithoutAnAnswerClosesItsConnection) {
  const auto server = Serve(Options(), [](HttpRequest, std::shared_ptr<HttpExchange>) {});
  HttpConnection connection(server->port());
  connection.Request("GET", "/");
  EXPECT_TRUE(connection.ReadEnd());
}

// Keeps the last exchange for the test.
class Holder {
 public:
  HttpHandler Handler() {
    return [this](HttpRequest, std::shared_ptr<HttpExchange> exchange) {
      exchange_.set_value(std::move(exchange));
    };
  }
  std::shared_ptr<HttpExchange> Take() { return exchange_.get_future().get(); }

 private:
  std::promise<std::shared_ptr<HttpExchange>> exchange_;
};

TEST(HttpServerTest, AStreamArrivesPieceByPiece) {
  Holder holder;
  const auto server = Serve(Options(), holder.Handler());
  HttpConnection connection(server->port());
  connection.Request("GET", "/");
  auto exchange = holder.Take();
  exchange->BeginStream({});
  exchange->Write("first", [] {});
  EXPECT_TRUE(connection.ReadUntil("5\r\nfirst\r\n"));
  exchange->Write("second", [] {});
  EXPECT_TRUE(connection.ReadUntil("6\r\nsecond\r\n"));
  exchange->EndStream();
  exchange.reset();
  EXPECT_EQ(connection.Read().value_or(testing::TestHttpResponse{}).body, "firstsecond");
}

class ClientGoneTest : public ::testing::TestWithParam<bool> {};

TEST_P(ClientGoneTest, IsNoticedBeforeAndDuringAStream) {
  Holder holder;
  const auto server = Serve(Options(), holder.Handler());
  auto connection = std::make_unique<HttpConnection>(server->port());
  connection->Request("GET", "/");
  auto exchange = holder.Take();
  std::promise<void> gone;
  exchange->OnClientGone([&gone] { gone.set_value(); });
  if (GetParam()) exchange->BeginStream({});
  connection.reset();
  gone.get_future().get();
  // Too late, and harmless.
  exchange->Respond({});
  exchange->Write("x", [] {});
  exchange->EndStream();
  std::promise<void> told_late;
  exchange->OnClientGone([&told_late] { told_late.set_value(); });
  told_late.get_future().get();
  exchange.reset();
}
INSTANTIATE_TEST_SUITE_P(Streaming, ClientGoneTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "during" : "before"; });

TEST(HttpServerTest, AWriterIsHeldBackWhileTheClientReadsNothing) {
  Holder holder;
  const auto server = Serve(Options(), holder.Handler());
  HttpConnection connection(server->port());
  connection.Request("GET", "/");
  auto exchange = holder.Take();
  exchange->BeginStream({});
  const std::string megabyte(1 << 20, 'x');
  std::promise<void> all_ready;
  std::atomic<int> ready{0};
  constexpr int kPieces = 16;  // more than the sockets hold
  for (int i = 0; i < kPieces; ++i) exchange->Write(megabyte, [] {});
  exchange->Write("the end", [&all_ready, &ready] {
    ready = 1;
    all_ready.set_value();
  });
  EXPECT_EQ(ready, 0);
  exchange->EndStream();
  const auto response = connection.Read();
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->body.size(), kPieces * megabyte.size() + 7);
  all_ready.get_future().get();
  exchange.reset();
}

TEST(HttpServerTest, ASlowReaderIsCutOff) {
  HttpServerOptions options = Options();
  options.write_timeout = absl::Milliseconds(50);
  Holder holder;
  const auto server = Serve(std::move(options), holder.Handler());
  HttpConnection connection(server->port());
  connection.Request("GET", "/");
  auto exchange = holder.Take();
  std::promise<void> gone;
  exchange->OnClientGone([&gone] { gone.set_value(); });
  exchange->BeginStream({});
  exchange->Write(std::string(64 << 20, 'x'), [] {});
  gone.get_future().get();
  exchange.reset();
}

TEST(HttpServerTest, DrainingEndsConnectionsAndStopTakesNoNewOnes) {
  const auto server = Serve(Options(), Echo);
  HttpConnection idle(server->port());
  idle.Request("GET", "/");
  ASSERT_TRUE(idle.Read().has_value());
  server->Drain();
  EXPECT_TRUE(idle.ReadEnd());
  const auto last = Fetch(server->port(), "GET", "/");
  ASSERT_TRUE(last.has_value());
  EXPECT_TRUE(last->HasHeader("connection: close")) << last->head;
  server->Stop();
  EXPECT_FALSE(HttpConnection(server->port()).connected());
}

TEST(HttpServerTest, StopCutsOffARunningRequest) {
  Holder holder;
  const auto server = Serve(Options(), holder.Handler());
  HttpConnection connection(server->port());
  connection.Request("GET", "/");
  auto exchange = holder.Take();
  std::promise<void> gone;
  exchange->OnClientGone([&gone] { gone.set_value(); });
  server->Stop();
  gone.get_future().get();
  EXPECT_TRUE(connection.ReadEnd());
  exchange.reset();
}

TEST(HttpServerTest, APortInUseIsRefused) {
  const auto server = Serve(Options(), Echo);
  HttpServerOptions options = Options();
  options.listen = absl::StrCat("127.0.0.1:", server->port());
  EXPECT_THAT(
      HttpServer::Start(options, Echo).status(),
      ::facet::testing::StatusIs(absl::StatusCode::kUnavailable, HasSubstr("cannot listen")));
}

TEST(HttpServerTest, OptionsAreChecked) {
  HttpServerOptions options = Options();
  options.listen = "nowhere";
  EXPECT_THAT(HttpServer::Start(options, Echo).status(),
              ::facet::testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                         "listen: 'nowhere' is not host:port"));
  options = Options();
  options.threads = 0;
  EXPECT_THAT(options.Validate(), ::facet::testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                                             "threads: 0 is not from 1 to 256"));
}

}  // namespace
}  // namespace facet
