#include "services/gateway/gateway.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "prometheus/text_serializer.h"
#include "router/callback_threads.h"
#include "services/gateway/answer_call.h"
#include "services/gateway/openai/chat_answer.h"
#include "services/gateway/openai/chat_request.h"
#include "services/gateway/openai/completion_answer.h"
#include "services/gateway/openai/completion_request.h"
#include "services/gateway/openai/openai_error.h"
#include "services/gateway/page.h"
#include "services/serving/status_to_grpc.h"

namespace facet {
namespace {

// Of calls that compute nothing.
constexpr absl::Duration kShortTimeout = absl::Seconds(5);
constexpr absl::Duration kHealthTimeout = absl::Seconds(2);

constexpr char kModelPrefix[] = "/v1/models/";

// The page holds its script and style, loads nothing else, and calls only its own server.
constexpr char kPagePolicy[] =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src "
    "'self'; img-src data: blob:; media-src data: blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

// In this order: the request's end goes first, the count of calls last.
template <class RequestType, class ResponseType>
struct UnaryCall {
  std::shared_ptr<void> in_flight;
  grpc::ClientContext context;
  RequestType request;
  ResponseType response;
  std::shared_ptr<RequestScope> scope;
};
using ListModelsCall = UnaryCall<v1::ListModelsRequest, v1::ListModelsResponse>;
using GetModelCall = UnaryCall<v1::GetModelRequest, v1::Model>;

HttpResponse JsonResponse(const Json& json) {
  HttpResponse response;
  response.body = Dump(json);
  return response;
}

// Metadata must not carry anything else to gRPC: it would end the process.
bool IsTraceparent(absl::string_view text) {
  return text.size() >= 55 && text.size() <= 128 &&
         text.find_first_not_of("0123456789abcdef-") == absl::string_view::npos;
}

// "a%2Fb" is "a/b". nullopt unless all of it is visible ASCII.
std::optional<std::string> DecodeModelName(absl::string_view text) {
  std::string name;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size() || !absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 1])) ||
          !absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 2]))) {
        return std::nullopt;
      }
      c = absl::HexStringToBytes(text.substr(i + 1, 2))[0];
      i += 2;
    }
    if (c <= ' ' || c >= '\x7f') return std::nullopt;
    name += c;
  }
  return name;
}

}  // namespace

struct Gateway::Route {
  std::string path;  // one that ends in / stands for all below it
  std::string method;
  bool open;  // needs no key
  void (Gateway::*handle)(const HttpRequest&, const Scope&);
};

const std::vector<Gateway::Route>& Gateway::Routes() {
  static const auto& routes = *new std::vector<Route>{
      {"/v1/chat/completions", "POST", false, &Gateway::Chat},
      {"/v1/completions", "POST", false, &Gateway::Complete},
      {"/v1/embeddings", "POST", false, &Gateway::Embed},
      {"/v1/models", "GET", false, &Gateway::ListModels},
      {kModelPrefix, "GET", false, &Gateway::GetModel},
      {"/health", "GET", true, &Gateway::Health},
      {"/live", "GET", true, &Gateway::Live},
      {"/metrics", "GET", true, &Gateway::Metrics},
      {"/", "GET", true, &Gateway::Page},
  };
  return routes;
}

const Gateway::Route* Gateway::FindRoute(const std::string& path) {
  for (const Route& route : Routes()) {
    if (route.path == path) return &route;
    if (route.path == kModelPrefix && absl::StartsWith(path, kModelPrefix)) return &route;
  }
  return nullptr;
}

Gateway::Gateway(GatewayOptions options, std::shared_ptr<grpc::Channel> router,
                 prometheus::Registry& registry)
    : options_(std::move(options)),
      metrics_(registry),
      generation_(v1::Generation::NewStub(router)),
      models_(v1::Models::NewStub(router)),
      texts_(generation_.get()),
      start_(absl::Now()) {
  KeepCallbackThreads();
}

Gateway::~Gateway() { WaitForCalls(absl::InfiniteFuture()); }

void Gateway::Handle(HttpRequest request, std::shared_ptr<HttpExchange> exchange) {
  const Route* route = FindRoute(request.path);
  const auto scope = std::make_shared<RequestScope>(
      request, route == nullptr ? "other" : route->path, CorsHeaders(request), std::move(exchange),
      &metrics_, options_.log);
  Dispatch(route, request, scope);
}

HttpHeaders Gateway::CorsHeaders(const HttpRequest& request) const {
  const std::string origin(request.Header("origin"));
  if (origin.empty()) return {};
  const auto& allowed = options_.cors_origins;
  const bool any = std::count(allowed.begin(), allowed.end(), "*") > 0;
  if (!any && std::count(allowed.begin(), allowed.end(), origin) == 0) return {};
  return {{"access-control-allow-origin", any ? "*" : origin},
          {"access-control-expose-headers", "x-request-id, retry-after, retry-after-ms"},
          {"vary", "origin"}};
}

void Gateway::Dispatch(const Route* route, const HttpRequest& request, const Scope& scope) {
  if (route == nullptr) {
    return scope->Respond(ErrorResponse(404, absl::StrCat("there is no ", request.path)));
  }
  if (request.method == "OPTIONS") {
    HttpResponse response;
    response.code = 204;
    response.content_type.clear();
    response.headers = {
        {"allow", absl::StrCat(route->method, ", OPTIONS")},
        {"access-control-allow-methods", "GET, POST, OPTIONS"},
        {"access-control-allow-headers", "authorization, content-type, x-request-id, traceparent"},
        {"access-control-max-age", "600"}};
    return scope->Respond(std::move(response));
  }
  const bool head = request.method == "HEAD" && route->method == "GET";
  if (request.method != route->method && !head) {
    HttpResponse response = ErrorResponse(
        405, absl::StrCat(request.path, " takes ", route->method, ", not ", request.method));
    response.headers.emplace_back("allow", absl::StrCat(route->method, ", OPTIONS"));
    return scope->Respond(std::move(response));
  }
  if (!route->open) {
    const absl::Status allowed = options_.keys.Check(request.Header("authorization"));
    if (!allowed.ok()) return scope->Fail(allowed);
  }
  (this->*route->handle)(request, scope);
}

std::shared_ptr<void> Gateway::CountCall() {
  std::lock_guard<std::mutex> lock(mutex_);
  ++calls_;
  return std::shared_ptr<void>(nullptr, [this](void*) {
    std::lock_guard<std::mutex> lock(mutex_);
    --calls_;
    changed_.notify_all();
  });
}

void Gateway::Drain() {
  std::lock_guard<std::mutex> lock(mutex_);
  draining_ = true;
}

bool Gateway::WaitForCalls(absl::Time deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (deadline == absl::InfiniteFuture()) {
    changed_.wait(lock, [this] { return calls_ == 0; });
    return true;
  }
  return changed_.wait_until(lock, absl::ToChronoTime(deadline), [this] { return calls_ == 0; });
}

void Gateway::PrepareContext(const HttpRequest& request, const RequestScope& scope,
                             absl::Duration timeout, grpc::ClientContext* context) const {
  context->set_deadline(absl::ToChronoTime(scope.arrival() + timeout));
  context->AddMetadata("x-request-id", scope.request_id());
  const std::string traceparent(request.Header("traceparent"));
  if (IsTraceparent(traceparent)) context->AddMetadata("traceparent", traceparent);
}

template <class Call>
std::shared_ptr<Call> Gateway::NewCall(const HttpRequest& request, const Scope& scope,
                                       absl::Duration timeout) {
  auto call = std::make_shared<Call>();
  call->in_flight = CountCall();
  call->scope = scope;
  PrepareContext(request, *scope, timeout, &call->context);
  return call;
}

// ---- generation

template <class Query, class Answer, class Begin>
void Gateway::Generate(const HttpRequest& http, const Scope& scope, const Query& query,
                       const char* id_prefix, Begin begin) {
  AnswerHead head;
  head.id = absl::StrCat(id_prefix, scope->request_id());
  head.created = absl::ToUnixSeconds(scope->arrival());
  head.model = query.request.model();
  Answer answer(std::move(head), query.answer, query.request.n(),
                [this](int32_t id) { return texts_.Text(id); });
  const auto call = std::make_shared<AnswerCall<Answer>>(scope, std::move(answer),
                                                         query.answer.stream, &texts_, CountCall());
  PrepareContext(http, *scope, options_.request_timeout, &call->context());
  call->Start(begin);
}

void Gateway::Chat(const HttpRequest& request, const Scope& scope) {
  const absl::StatusOr<Json> body = ParseJson(request.body);
  if (!body.ok()) return scope->Fail(body.status());
  const auto query = ReadChatRequest(*body, options_.ignore_unknown_fields);
  if (!query.ok()) return scope->Fail(query.status());
  Generate<ChatQuery, ChatAnswer>(request, scope, *query, "chatcmpl-", [&](auto* call) {
    generation_->async()->Chat(&call->context(), &query->request, call);
  });
}

void Gateway::Complete(const HttpRequest& request, const Scope& scope) {
  const absl::StatusOr<Json> body = ParseJson(request.body);
  if (!body.ok()) return scope->Fail(body.status());
  const auto query = ReadCompletionRequest(*body, options_.ignore_unknown_fields);
  if (!query.ok()) return scope->Fail(query.status());
  Generate<CompletionQuery, CompletionAnswer>(request, scope, *query, "cmpl-", [&](auto* call) {
    generation_->async()->Generate(&call->context(), &query->request, call);
  });
}

void Gateway::Embed(const HttpRequest&, const Scope& scope) {
  scope->Respond(ErrorResponse(
      404, "/v1/embeddings: this server generates text; it has no model for embeddings"));
}

// ---- models

Json Gateway::ModelJson(const v1::Model& model) const {
  return {{"id", model.name()},
          {"object", "model"},
          {"created", absl::ToUnixSeconds(start_)},
          {"owned_by", "facet"},
          {"max_model_len", model.context_length()},
          {"modalities",
           std::vector<std::string>(model.modalities().begin(), model.modalities().end())}};
}

void Gateway::ListModels(const HttpRequest& request, const Scope& scope) {
  const auto call = NewCall<ListModelsCall>(request, scope, kShortTimeout);
  models_->async()->ListModels(
      &call->context, &call->request, &call->response, [this, call](const grpc::Status& status) {
        if (!status.ok()) return call->scope->Fail(FromGrpcStatus(status));
        Json data = Json::array();
        for (const v1::Model& model : call->response.models()) data.push_back(ModelJson(model));
        call->scope->Respond(JsonResponse({{"object", "list"}, {"data", std::move(data)}}));
      });
}

void Gateway::GetModel(const HttpRequest& request, const Scope& scope) {
  const auto name = DecodeModelName(absl::StripPrefix(request.path, kModelPrefix));
  if (!name.has_value() || name->empty()) {
    return scope->Fail(absl::NotFoundError(absl::StrCat("there is no ", request.path)));
  }
  const auto call = NewCall<GetModelCall>(request, scope, kShortTimeout);
  call->request.set_name(*name);
  models_->async()->GetModel(&call->context, &call->request, &call->response,
                             [this, call](const grpc::Status& status) {
                               if (!status.ok()) return call->scope->Fail(FromGrpcStatus(status));
                               call->scope->Respond(JsonResponse(ModelJson(call->response)));
                             });
}

// ---- for operators

void Gateway::Health(const HttpRequest& request, const Scope& scope) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (draining_) return scope->Respond(ErrorResponse(503, "draining"));
  }
  const auto call = NewCall<ListModelsCall>(request, scope, kHealthTimeout);
  models_->async()->ListModels(
      &call->context, &call->request, &call->response, [call](const grpc::Status& status) {
        const auto& models = call->response.models();
        const bool ready = std::any_of(models.begin(), models.end(), [](const v1::Model& model) {
          return model.ready_groups() > 0;
        });
        if (!status.ok()) {
          call->scope->Respond(ErrorResponse(
              503, absl::StrCat("the router does not answer: ", status.error_message())));
        } else if (!ready) {
          call->scope->Respond(ErrorResponse(503, "no shard group is ready"));
        } else {
          call->scope->Respond(JsonResponse({{"status", "ok"}}));
        }
      });
}

void Gateway::Live(const HttpRequest&, const Scope& scope) {
  scope->Respond(JsonResponse({{"status", "ok"}}));
}

void Gateway::Metrics(const HttpRequest&, const Scope& scope) {
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  std::vector<prometheus::MetricFamily> families;
  for (const auto& source : options_.metrics) {
    std::vector<prometheus::MetricFamily> more = source->Collect();
    std::move(more.begin(), more.end(), std::back_inserter(families));
  }
  response.body = prometheus::TextSerializer().Serialize(families);
  scope->Respond(std::move(response));
}

void Gateway::Page(const HttpRequest&, const Scope& scope) {
  HttpResponse response;
  response.content_type = "text/html; charset=utf-8";
  response.headers = {{"content-security-policy", kPagePolicy},
                      {"x-content-type-options", "nosniff"},
                      {"referrer-policy", "no-referrer"}};
  response.body = std::string(PageHtml());
  scope->Respond(std::move(response));
}

}  // namespace facet
