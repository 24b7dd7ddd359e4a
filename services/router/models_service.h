#ifndef FACET_SERVICES_ROUTER_MODELS_SERVICE_H_
#define FACET_SERVICES_ROUTER_MODELS_SERVICE_H_

#include "grpcpp/grpcpp.h"
#include "proto/facet/v1/models.grpc.pb.h"
#include "router/router.h"

namespace facet {

// facet.v1.Models on the wire. A router serves one model.
class ModelsService final : public v1::Models::CallbackService {
 public:
  // `router` must outlive the server.
  explicit ModelsService(const Router* router) : router_(router) {}

  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context,
                                       const v1::ListModelsRequest* request,
                                       v1::ListModelsResponse* response) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context,
                                     const v1::GetModelRequest* request,
                                     v1::Model* response) override;

 private:
  const Router* const router_;
};

}  // namespace facet

#endif  // FACET_SERVICES_ROUTER_MODELS_SERVICE_H_
