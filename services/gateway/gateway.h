#ifndef FACET_SERVICES_GATEWAY_GATEWAY_H_
#define FACET_SERVICES_GATEWAY_GATEWAY_H_

// OpenAI's HTTP API over a router: requests are checked and translated to facet.v1 calls, events to
// answers. Keeps no state between requests (docs/openai.md).

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "prometheus/collectable.h"
#include "prometheus/registry.h"
#include "proto/facet/v1/generation.grpc.pb.h"
#include "proto/facet/v1/models.grpc.pb.h"
#include "services/gateway/access_log.h"
#include "services/gateway/api_keys.h"
#include "services/gateway/gateway_metrics.h"
#include "services/gateway/http/http_message.h"
#include "services/gateway/openai/json_fields.h"
#include "services/gateway/request_scope.h"
#include "services/gateway/token_texts.h"

namespace facet {

struct GatewayOptions {
  ApiKeys keys;
  // Origins that a browser's page may call from; "*": any. Empty: none but the gateway's own.
  std::vector<std::string> cors_origins;
  // Of one generation, from its arrival.
  absl::Duration request_timeout = absl::Minutes(30);
  bool ignore_unknown_fields = false;
  AccessLog log;
  // What the page /metrics shows: the registry that the gateway gets, and others.
  std::vector<std::shared_ptr<prometheus::Collectable>> metrics;
};

// Thread-safe.
class Gateway {
 public:
  // `registry` must outlive it.
  Gateway(GatewayOptions options, std::shared_ptr<grpc::Channel> router,
          prometheus::Registry& registry);
  // Waits for the calls that run: end them first.
  ~Gateway();

  // An HttpHandler.
  void Handle(HttpRequest request, std::shared_ptr<HttpExchange> exchange);

  // From now on /health says 503.
  void Drain();
  // False if calls still run at `deadline`.
  bool WaitForCalls(absl::Time deadline);

 private:
  using Scope = std::shared_ptr<RequestScope>;
  struct Route;

  static const std::vector<Route>& Routes();
  static const Route* FindRoute(const std::string& path);
  HttpHeaders CorsHeaders(const HttpRequest& request) const;
  void Dispatch(const Route* route, const HttpRequest& request, const Scope& scope);

  void Chat(const HttpRequest& request, const Scope& scope);
  void Complete(const HttpRequest& request, const Scope& scope);
  void Embed(const HttpRequest& request, const Scope& scope);
  void ListModels(const HttpRequest& request, const Scope& scope);
  void GetModel(const HttpRequest& request, const Scope& scope);
  void Health(const HttpRequest& request, const Scope& scope);
  void Live(const HttpRequest& request, const Scope& scope);
  void Metrics(const HttpRequest& request, const Scope& scope);
  void Page(const HttpRequest& request, const Scope& scope);

  template <class Query, class Answer, class Begin>
  void Generate(const HttpRequest& http, const Scope& scope, const Query& query,
                const char* id_prefix, Begin begin);
  template <class Call>
  std::shared_ptr<Call> NewCall(const HttpRequest& request, const Scope& scope,
                                absl::Duration timeout);
  void PrepareContext(const HttpRequest& request, const RequestScope& scope, absl::Duration timeout,
                      grpc::ClientContext* context) const;
  Json ModelJson(const v1::Model& model) const;
  // One call to the router runs as long as the returned object lives.
  std::shared_ptr<void> CountCall();

  const GatewayOptions options_;
  GatewayMetrics metrics_;
  const std::unique_ptr<v1::Generation::StubInterface> generation_;
  const std::unique_ptr<v1::Models::StubInterface> models_;
  TokenTexts texts_;
  const absl::Time start_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int calls_ = 0;
  bool draining_ = false;
};

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_GATEWAY_H_
