// The gateway over HTTP on one side and a scripted router on the other.

#include "services/gateway/gateway.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "services/gateway/http/http_server.h"
#include "services/gateway/openai/openai_error.h"
#include "services/gateway/testing/http_connection.h"
#include "services/gateway/testing/scripted_router.h"
#include "services/serving/status_to_grpc.h"

namespace facet {
namespace {

using ::facet::testing::ChatEvent;
using ::facet::testing::GenerateEvent;
using ::facet::testing::HttpConnection;
using ::facet::testing::ScriptedRouter;
using ::facet::testing::TestHttpResponse;

constexpr char kChat[] = "/v1/chat/completions";
constexpr char kHello[] = R"({"messages":[{"role":"user","content":"hi"}]})";
constexpr char kHelloStream[] = R"({"messages":[{"role":"user","content":"hi"}],"stream":true})";

class GatewayTest : public ::testing::Test {
 protected:
  // Once, after the scripts are set.
  void Start(GatewayOptions options = {}) {
    registry_ = std::make_shared<prometheus::Registry>();
    options.metrics = {registry_};
    options.log = [this](const AccessRecord& record) {
      std::lock_guard<std::mutex> lock(mutex_);
      log_.push_back(record);
    };
    gateway_ = std::make_unique<Gateway>(std::move(options), router_.Channel(), *registry_);
    HttpServerOptions server_options;
    server_options.threads = 2;
    server_options.error_response = [](int code, const std::string& message) {
      return ErrorResponse(code, message);
    };
    auto server = HttpServer::Start(server_options, [this](HttpRequest request, auto exchange) {
      gateway_->Handle(std::move(request), std::move(exchange));
    });
    ASSERT_THAT(server, testing::IsOk());
    server_ = *std::move(server);
  }

  void TearDown() override {
    if (server_) server_->Stop();
    gateway_.reset();  // waits for its calls, which hold exchanges
    server_.reset();
  }

  TestHttpResponse Fetch(const std::string& method, const std::string& path,
                         const std::string& body = "", const std::string& headers = "") {
    auto response = testing::Fetch(server_->port(), method, path, body, headers);
    EXPECT_TRUE(response.has_value());
    return response.value_or(TestHttpResponse{});
  }

  // The data of each event of a streamed answer.
  static std::vector<std::string> Events(const TestHttpResponse& response) {
    std::vector<std::string> events;
    for (absl::string_view event : absl::StrSplit(response.body, "\n\n", absl::SkipEmpty())) {
      EXPECT_TRUE(absl::ConsumePrefix(&event, "data: ")) << event;
      events.emplace_back(event);
    }
    return events;
  }

  // The log holds a line once its request has ended, which may be after the answer has arrived.
  AccessRecord LastRecord(size_t count) {
    for (int i = 0; i < 2000; ++i) {
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (log_.size() >= count) return log_[count - 1];
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ADD_FAILURE() << "the log has less than " << count << " lines";
    return {};
  }

  ScriptedRouter router_;
  std::shared_ptr<prometheus::Registry> registry_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<HttpServer> server_;
  std::mutex mutex_;
  std::vector<AccessRecord> log_;
};

TEST_F(GatewayTest, ChatAnswersWhole) {
  Start();
  const TestHttpResponse response = Fetch("POST", kChat, kHello, "x-request-id: abc\r\n");
  EXPECT_EQ(response.code, 200) << response.body;
  EXPECT_TRUE(response.HasHeader("x-request-id: abc"));
  EXPECT_TRUE(response.HasHeader("content-type: application/json"));
  const Json answer = Json::parse(response.body);
  EXPECT_EQ(answer["id"], "chatcmpl-abc");
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "hi");
  const AccessRecord record = LastRecord(1);
  EXPECT_EQ(record.request_id, "abc");
  EXPECT_EQ(record.code, 200);
  EXPECT_EQ(record.model, "org/gemma");
  EXPECT_EQ(record.prompt_tokens, 3);
}

TEST_F(GatewayTest, ChatStreamsEvents) {
  Start();
  const TestHttpResponse response = Fetch("POST", kChat, kHelloStream);
  EXPECT_EQ(response.code, 200);
  EXPECT_TRUE(response.HasHeader("content-type: text/event-stream; charset=utf-8"));
  const std::vector<std::string> events = Events(response);
  ASSERT_EQ(events.size(), 4u) << response.body;
  EXPECT_EQ(Json::parse(events[0])["choices"][0]["delta"]["role"], "assistant");
  EXPECT_EQ(Json::parse(events[1])["choices"][0]["delta"]["content"], "hi");
  EXPECT_EQ(Json::parse(events[2])["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(events[3], "[DONE]");
  EXPECT_TRUE(LastRecord(1).stream);
}

TEST_F(GatewayTest, AnEventIsSentWhenItComesNotWhenTheAnswerEnds) {
  std::promise<void> seen;
  router_.chat = [&seen](auto*, const v1::ChatRequest&, auto* writer) {
    writer->Write(ChatEvent("start {}"));
    writer->Write(ChatEvent("delta { tool_calls { id: 'c' name: 'f' arguments: '{\"a' } }"));
    seen.get_future().get();
    writer->Write(ChatEvent("delta { tool_calls { arguments: '\":1}' } }"));
    writer->Write(ChatEvent("sequence_end { finish_reason: TOOL_CALL }"));
    writer->Write(ChatEvent("end {}"));
    return grpc::Status::OK;
  };
  Start();
  HttpConnection connection(server_->port());
  connection.Request("POST", kChat, kHelloStream);
  EXPECT_TRUE(connection.ReadUntil(R"("arguments":"{\"a")"));
  seen.set_value();
  EXPECT_TRUE(connection.ReadUntil("data: [DONE]"));
}

TEST_F(GatewayTest, TheRouterGetsTheRequestItsIdAndTrace) {
  std::promise<std::string> got;
  router_.chat = [&got](grpc::ServerContext* context, const v1::ChatRequest& request,
                        auto* writer) {
    const auto& metadata = context->client_metadata();
    const auto id = metadata.find("x-request-id");
    const auto trace = metadata.find("traceparent");
    got.set_value(absl::StrCat(std::string(id->second.data(), id->second.size()), " ",
                               std::string(trace->second.data(), trace->second.size()), " ",
                               request.messages(0).content(0).text()));
    writer->Write(ChatEvent("end {}"));
    return grpc::Status::OK;
  };
  Start();
  Fetch("POST", kChat, kHello,
        "x-request-id: r1\r\n"
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n");
  EXPECT_EQ(got.get_future().get(),
            "r1 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 hi");
}

TEST_F(GatewayTest, AnIdThatCannotBeOneIsReplacedAndATraceThatIsNoneLeftOut) {
  Start();
  const TestHttpResponse response =
      Fetch("POST", kChat, kHello, "x-request-id: a b\r\ntraceparent: \x80\x81garbage\r\n");
  EXPECT_EQ(response.code, 200) << response.body;
  EXPECT_EQ(LastRecord(1).request_id.size(), 32u);
}

struct RouterErrorCase {
  std::string name;
  grpc::StatusCode code;
  int http_code;
};
class GatewayRouterErrorTest : public GatewayTest,
                               public ::testing::WithParamInterface<RouterErrorCase> {};

TEST_P(GatewayRouterErrorTest, BeforeTheFirstEventHasItsHttpCode) {
  router_.chat = [](grpc::ServerContext* context, const v1::ChatRequest&, auto*) {
    context->AddTrailingMetadata(kRetryAfterMetadata, "1500");
    return grpc::Status(GetParam().code, "because");
  };
  Start();
  for (const char* body : {kHello, kHelloStream}) {
    const TestHttpResponse response = Fetch("POST", kChat, body);
    EXPECT_EQ(response.code, GetParam().http_code);
    EXPECT_EQ(Json::parse(response.body)["error"]["message"], "because");
    if (response.code == 429) {
      EXPECT_TRUE(response.HasHeader("retry-after: 2")) << response.head;
      EXPECT_TRUE(response.HasHeader("retry-after-ms: 1500")) << response.head;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Codes, GatewayRouterErrorTest,
                         ::testing::ValuesIn(std::vector<RouterErrorCase>{
                             {"invalid", grpc::StatusCode::INVALID_ARGUMENT, 400},
                             {"no_model", grpc::StatusCode::NOT_FOUND, 404},
                             {"queue_full", grpc::StatusCode::RESOURCE_EXHAUSTED, 429},
                             {"group_lost", grpc::StatusCode::UNAVAILABLE, 503},
                             {"deadline", grpc::StatusCode::DEADLINE_EXCEEDED, 408},
                             {"internal", grpc::StatusCode::INTERNAL, 500},
                         }),
                         [](const auto& info) { return info.param.name; });

TEST_F(GatewayTest, AnErrorOfTheRouterNamesTheFieldAsTheClientCallsIt) {
  router_.chat = [](auto*, const v1::ChatRequest&, auto*) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                        "messages[0].content[1].media: the image cannot be read");
  };
  router_.generate = [](auto*, const v1::GenerateRequest&, auto*) {
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "prompt has 9 tokens; at most 8");
  };
  Start();
  const auto param = [this](const char* path, const char* body) {
    return Json::parse(Fetch("POST", path, body).body)["error"]["param"];
  };
  EXPECT_EQ(param(kChat, kHello), "messages[0].content[1]");
  EXPECT_EQ(param("/v1/completions", R"({"prompt":"a"})"), "prompt");
}

TEST_F(GatewayTest, AnErrorWithinAStreamIsItsLastEvent) {
  router_.chat = [](auto*, const v1::ChatRequest&, auto* writer) {
    writer->Write(ChatEvent("start {}"));
    writer->Write(ChatEvent("delta { content: 'x' }"));
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the group was lost");
  };
  Start();
  const TestHttpResponse response = Fetch("POST", kChat, kHelloStream);
  EXPECT_EQ(response.code, 200);
  const std::vector<std::string> events = Events(response);
  ASSERT_EQ(events.size(), 3u) << response.body;
  EXPECT_EQ(Json::parse(events[2])["error"]["message"], "the group was lost");
  EXPECT_EQ(LastRecord(1).code, 503);
}

TEST_F(GatewayTest, AnAnswerWithoutItsEndIsAnError) {
  router_.chat = [](auto*, const v1::ChatRequest&, auto*) { return grpc::Status::OK; };
  Start();
  EXPECT_EQ(Fetch("POST", kChat, kHello).code, 500);
}

TEST_F(GatewayTest, TheTimeLimitOfARequestIsItsDeadline) {
  router_.chat = [](grpc::ServerContext* context, const v1::ChatRequest&, auto*) {
    while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return grpc::Status::CANCELLED;
  };
  GatewayOptions options;
  options.request_timeout = absl::Milliseconds(50);
  Start(std::move(options));
  EXPECT_EQ(Fetch("POST", kChat, kHello).code, 408);
}

class GatewayClientGoneTest : public GatewayTest, public ::testing::WithParamInterface<bool> {};

TEST_P(GatewayClientGoneTest, CancelsItsCall) {
  std::promise<void> called, cancelled;
  router_.chat = [&](grpc::ServerContext* context, const v1::ChatRequest&, auto* writer) {
    writer->Write(ChatEvent("start {}"));
    writer->Write(ChatEvent("delta { content: 'x' }"));
    called.set_value();
    while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    cancelled.set_value();
    return grpc::Status::CANCELLED;
  };
  Start();
  auto connection = std::make_unique<HttpConnection>(server_->port());
  connection->Request("POST", kChat, GetParam() ? kHelloStream : kHello);
  called.get_future().get();
  connection.reset();
  cancelled.get_future().get();
  EXPECT_EQ(LastRecord(1).code, 499);
}
INSTANTIATE_TEST_SUITE_P(Streaming, GatewayClientGoneTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "streamed" : "whole"; });

TEST_F(GatewayTest, AClientThatReadsNothingHoldsTheRouterBack) {
  std::atomic<int> written{0};
  std::promise<void> cancelled;
  router_.chat = [&](grpc::ServerContext* context, const v1::ChatRequest&, auto* writer) {
    v1::ChatResponse event = ChatEvent("delta {}");
    event.mutable_delta()->set_content(std::string(64 << 10, 'x'));
    while (!context->IsCancelled() && writer->Write(event)) ++written;
    cancelled.set_value();
    return grpc::Status::CANCELLED;
  };
  Start();
  auto connection = std::make_unique<HttpConnection>(server_->port());
  connection->Request("POST", kChat, kHelloStream);
  // The writer gets stuck when the buffers on the way are full; they hold megabytes, not gigabytes.
  for (int last = -1; written == 0 || written != last;) {
    last = written;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  EXPECT_LT(written, 1000);
  connection.reset();
  cancelled.get_future().get();
}

TEST_F(GatewayTest, LogprobsCarryTheTextsOfTheirTokens) {
  router_.chat = [](auto*, const v1::ChatRequest&, auto* writer) {
    writer->Write(ChatEvent("start {}"));
    writer->Write(ChatEvent("delta { content: 'x' logprobs { token_id: 7 top { token_id: 9 } } }"));
    writer->Write(ChatEvent("end {}"));
    return grpc::Status::OK;
  };
  Start();
  const Json answer = Json::parse(
      Fetch("POST", kChat, R"({"messages":[{"role":"user","content":"a"}],"logprobs":true})").body);
  const Json& token = answer["choices"][0]["logprobs"]["content"][0];
  EXPECT_EQ(token["token"], "<7>");
  EXPECT_EQ(token["top_logprobs"][0]["token"], "<9>");
}

TEST_F(GatewayTest, CompletionsAnswerWholeAndStreamed) {
  Start();
  const Json whole =
      Json::parse(Fetch("POST", "/v1/completions", R"({"prompt":"a","logprobs":0})").body);
  EXPECT_EQ(whole["choices"][0]["text"], "hi");
  EXPECT_EQ(whole["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(whole["choices"][0]["logprobs"]["tokens"], Json::array({"<5>"}));
  const auto events = Events(Fetch("POST", "/v1/completions", R"({"prompt":[2,5],"stream":true})"));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(Json::parse(events[0])["choices"][0]["text"], "hi");
}

TEST_F(GatewayTest, ModelsAreListedAndFoundByName) {
  Start();
  const Json list = Json::parse(Fetch("GET", "/v1/models").body);
  EXPECT_EQ(list["data"][0]["id"], "org/gemma");
  EXPECT_EQ(list["data"][0]["max_model_len"], 128);
  EXPECT_EQ(Fetch("GET", "/v1/models/org%2Fgemma").code, 200);
  EXPECT_EQ(Fetch("GET", "/v1/models/org/gemma").code, 200);
  const TestHttpResponse unknown = Fetch("GET", "/v1/models/other");
  EXPECT_EQ(unknown.code, 404);
  EXPECT_EQ(Json::parse(unknown.body)["error"]["code"], "model_not_found");
  EXPECT_EQ(Fetch("GET", "/v1/models/%F").code, 404);
  EXPECT_EQ(Fetch("GET", "/v1/models/%ff").code, 404);
}

TEST_F(GatewayTest, HealthFollowsTheRouterAndTheDrain) {
  Start();
  EXPECT_EQ(Fetch("GET", "/health").code, 200);
  router_.ready_groups = 0;
  EXPECT_EQ(Fetch("GET", "/health").code, 503);
  router_.ready_groups = 1;
  gateway_->Drain();
  EXPECT_EQ(Fetch("GET", "/health").code, 503);
  EXPECT_EQ(Fetch("GET", "/live").code, 200);
}

TEST_F(GatewayTest, PathsAndMethodsThatAreNotThereAreRefused) {
  Start();
  EXPECT_EQ(Fetch("GET", "/v2/nothing").code, 404);
  EXPECT_EQ(LastRecord(1).route, "other");
  const TestHttpResponse response = Fetch("GET", kChat);
  EXPECT_EQ(response.code, 405);
  EXPECT_TRUE(response.HasHeader("allow: post, options")) << response.head;
  const TestHttpResponse embeddings = Fetch("POST", "/v1/embeddings", R"({"input":"a"})");
  EXPECT_EQ(embeddings.code, 404);
  EXPECT_TRUE(absl::StrContains(embeddings.body, "no model for embeddings"));
}

TEST_F(GatewayTest, KeysAreAskedForWhereThereAreAny) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/keys");
  FILE* file = fopen(path.c_str(), "w");
  fputs("# of the agents\n\n secret-1 \nsecret-2\n", file);
  fclose(file);
  GatewayOptions options;
  auto keys = ApiKeys::Load(path);
  ASSERT_THAT(keys, testing::IsOk());
  options.keys = *keys;
  Start(std::move(options));
  const TestHttpResponse refused = Fetch("POST", kChat, kHello);
  EXPECT_EQ(refused.code, 401);
  EXPECT_TRUE(refused.HasHeader("www-authenticate: bearer")) << refused.head;
  EXPECT_EQ(Fetch("POST", kChat, kHello, "authorization: Bearer secret\r\n").code, 401);
  EXPECT_EQ(Fetch("POST", kChat, kHello, "authorization: Basic secret-1\r\n").code, 401);
  EXPECT_EQ(Fetch("POST", kChat, kHello, "authorization: bearer secret-1\r\n").code, 200);
  EXPECT_EQ(Fetch("GET", "/v1/models", "", "authorization: Bearer secret-2\r\n").code, 200);
  EXPECT_EQ(Fetch("GET", "/health").code, 200);
}

TEST(ApiKeysTest, AFileWithoutKeysIsRefused) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/no_keys");
  EXPECT_THAT(ApiKeys::Load(path).status(), testing::StatusIs(absl::StatusCode::kNotFound));
  FILE* file = fopen(path.c_str(), "w");
  fputs("# none\n", file);
  fclose(file);
  EXPECT_THAT(ApiKeys::Load(path).status(), testing::StatusIs(absl::StatusCode::kInvalidArgument));
  file = fopen(path.c_str(), "w");
  fputs("ok\ntwo words\n", file);
  fclose(file);
  EXPECT_THAT(ApiKeys::Load(path).status(), testing::StatusIs(absl::StatusCode::kInvalidArgument,
                                                              ::testing::HasSubstr("line 2 of")));
}

TEST_F(GatewayTest, PagesOfOtherOriginsMayCallWhereTheFlagSaysSo) {
  GatewayOptions options;
  options.cors_origins = {"https://a.example"};
  Start(std::move(options));
  const std::string allowed = "origin: https://a.example\r\n";
  const TestHttpResponse preflight = Fetch("OPTIONS", kChat, "", allowed);
  EXPECT_EQ(preflight.code, 204);
  EXPECT_TRUE(preflight.HasHeader("access-control-allow-origin: https://a.example"));
  EXPECT_TRUE(Fetch("POST", kChat, kHello, allowed)
                  .HasHeader("access-control-allow-origin: https://a.example"));
  EXPECT_FALSE(absl::StrContains(Fetch("POST", kChat, kHello, "origin: https://b.example\r\n").head,
                                 "access-control"));
}

TEST_F(GatewayTest, MetricsCountRequestsByRouteAndCode) {
  Start();
  Fetch("POST", kChat, kHello);
  Fetch("POST", kChat, "{");
  const std::string page = Fetch("GET", "/metrics").body;
  for (const char* sample :
       {"facet_gateway_requests_total{code=\"200\",route=\"/v1/chat/completions\"} 1",
        "facet_gateway_requests_total{code=\"400\",route=\"/v1/chat/completions\"} 1",
        "facet_gateway_request_duration_seconds_count{route=\"/v1/chat/completions\"} 2",
        "facet_gateway_streams_open 0", "facet_gateway_requests_in_flight 1"}) {
    EXPECT_TRUE(absl::StrContains(page, sample)) << sample << " in\n" << page;
  }
}

TEST_F(GatewayTest, ThePageIsServedAndLoadsNothingFromElsewhere) {
  Start();
  const TestHttpResponse page = Fetch("GET", "/");
  EXPECT_EQ(page.code, 200);
  EXPECT_TRUE(page.HasHeader("content-type: text/html; charset=utf-8"));
  EXPECT_TRUE(absl::StrContains(page.head, "connect-src 'self'"));
  EXPECT_TRUE(absl::StrContains(page.body, "<title>Facet</title>"));
  EXPECT_FALSE(absl::StrContains(page.body, "//cdn"));
}

TEST(AccessLogTest, ALineIsJsonWithoutWhatIsEmpty) {
  AccessRecord record;
  record.request_id = "r\"1";
  record.method = "GET";
  record.route = "/health";
  record.code = 200;
  record.total = absl::Milliseconds(1500);
  EXPECT_EQ(FormatAccessRecord(record, absl::FromUnixSeconds(0)),
            R"({"time":"1970-01-01T00:00:00.000Z","request_id":"r\"1","method":"GET",)"
            R"("route":"/health","code":200,"total_seconds":1.5})");
}

// ---- bodies that nobody meant

class BodyMaker {
 public:
  explicit BodyMaker(uint32_t seed) : random_(seed) {}

  // A request with a few of its values, or bytes, replaced.
  std::string Next() {
    Json body = Json::parse(Pick(std::vector<std::string>{
        kHello,
        R"({"messages":[{"role":"user","content":[{"type":"text","text":"a"},
             {"type":"image_url","image_url":{"url":"data:image/png;base64,AQID","detail":"low"}}]},
            {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",
              "function":{"name":"f","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"c","content":"x"}],
            "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],
            "tool_choice":"auto","stream":true,"stream_options":{"include_usage":true},
            "temperature":1,"logit_bias":{"3":1},"stop":["a"],"n":2,"seed":7,"logprobs":true,
            "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}},
            "chat_template_kwargs":{"enable_thinking":true}})",
        R"({"prompt":[2,7],"max_tokens":5,"logprobs":2,"stop":"x","top_k":3,"stream":false})"}));
    for (int i = static_cast<int>(Below(2)); i >= 0; --i) Mutate(&body, 0);
    std::string text = body.dump();
    if (Below(4) == 0) {
      for (int i = static_cast<int>(Below(3)); i >= 0; --i)
        text[Below(text.size())] = static_cast<char>(Below(256));
    }
    if (Below(20) == 0) text.resize(Below(text.size()));
    return text;
  }

 private:
  size_t Below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  const std::string& Pick(const std::vector<std::string>& of) { return of[Below(of.size())]; }

  Json RandomValue() {
    static const auto& values = *new std::vector<std::string>{"null",
                                                              "true",
                                                              "0",
                                                              "-1",
                                                              "1e300",
                                                              "18446744073709551615",
                                                              "0.5",
                                                              "\"\"",
                                                              "\"x\"",
                                                              "\"data:;base64,====\"",
                                                              "[]",
                                                              "{}",
                                                              "[[]]",
                                                              "[null]",
                                                              "{\"type\":\"function\"}",
                                                              "{\"\":{}}",
                                                              "[1,\"a\",{}]",
                                                              "\"\\u0000\"",
                                                              "\"\\uD83D\\uDE00\""};
    return Json::parse(Pick(values));
  }

  // Walks down at random and replaces, removes or adds something.
  void Mutate(Json* json, int depth) {
    if (json->empty() || !json->is_structured() || (depth > 0 && Below(3) == 0)) {
      *json = RandomValue();
      return;
    }
    auto it = json->begin();
    std::advance(it, Below(json->size()));
    const size_t what = Below(8);
    if (what == 0) {
      json->erase(it);
    } else if (what == 1 && json->is_object()) {
      (*json)[Pick({"name", "type", "content", "url", "n", "messages", "prompt", "\xC3\xA9"})] =
          RandomValue();
    } else {
      Mutate(&*it, depth + 1);
    }
  }

  std::mt19937 random_;
};

TEST_F(GatewayTest, RandomBodiesGetAnAnswerOrAWellFormedError) {
  Start();
  BodyMaker bodies(20240607);
  int answered = 0, refused = 0;
  HttpConnection connection(server_->port());
  for (int i = 0; i < 3000; ++i) {
    const std::string body = bodies.Next();
    connection.Request("POST", i % 3 == 0 ? "/v1/completions" : kChat, body);
    const auto response = connection.Read();
    ASSERT_TRUE(response.has_value()) << body;
    if (response->code == 200) {
      ++answered;
      continue;
    }
    ++refused;
    ASSERT_EQ(response->code, 400) << body << "\n" << response->body;
    const Json error = Json::parse(response->body, nullptr, false);
    ASSERT_TRUE(error.is_object() && error["error"].is_object()) << response->body;
    ASSERT_TRUE(error["error"]["message"].is_string()) << response->body;
    ASSERT_FALSE(error["error"]["message"].get<std::string>().empty()) << body;
    ASSERT_EQ(error["error"]["type"], "invalid_request_error");
  }
  // Neither does everything pass, nor is everything refused.
  EXPECT_GT(answered, 50);
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace facet
