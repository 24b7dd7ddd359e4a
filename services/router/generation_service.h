#ifndef FACET_SERVICES_ROUTER_GENERATION_SERVICE_H_
#define FACET_SERVICES_ROUTER_GENERATION_SERVICE_H_

#include "grpcpp/grpcpp.h"
#include "proto/facet/v1/generation.grpc.pb.h"
#include "router/router.h"

namespace facet {

// facet.v1.Generation on the wire: messages, metadata and statuses; the router decides. Calls hold
// no thread while they wait.
class GenerationService final : public v1::Generation::CallbackService {
 public:
  // `router` must outlive the server.
  explicit GenerationService(Router* router) : router_(router) {}

  grpc::ServerWriteReactor<v1::GenerateResponse>* Generate(
      grpc::CallbackServerContext* context, const v1::GenerateRequest* request) override;
  grpc::ServerWriteReactor<v1::ChatResponse>* Chat(grpc::CallbackServerContext* context,
                                                   const v1::ChatRequest* request) override;
  grpc::ServerUnaryReactor* RenderChat(grpc::CallbackServerContext* context,
                                       const v1::ChatRequest* request,
                                       v1::RenderChatResponse* response) override;
  grpc::ServerUnaryReactor* Tokenize(grpc::CallbackServerContext* context,
                                     const v1::TokenizeRequest* request,
                                     v1::TokenizeResponse* response) override;
  grpc::ServerUnaryReactor* Detokenize(grpc::CallbackServerContext* context,
                                       const v1::DetokenizeRequest* request,
                                       v1::DetokenizeResponse* response) override;
  grpc::ServerUnaryReactor* CountTokens(grpc::CallbackServerContext* context,
                                        const v1::CountTokensRequest* request,
                                        v1::CountTokensResponse* response) override;

 private:
  grpc::ServerUnaryReactor* RunUnary(
      const char* method, grpc::CallbackServerContext* context, bool has_media,
      std::function<absl::Status(const TextCalls&, const RequestContext&)> call);

  Router* const router_;
};

}  // namespace facet

#endif  // FACET_SERVICES_ROUTER_GENERATION_SERVICE_H_
