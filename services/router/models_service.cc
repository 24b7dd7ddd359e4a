#include "services/router/models_service.h"

#include "services/router/call_metadata.h"

namespace facet {

grpc::ServerUnaryReactor* ModelsService::ListModels(grpc::CallbackServerContext* context,
                                                    const v1::ListModelsRequest* request,
                                                    v1::ListModelsResponse* response) {
  TakeRequestContext(*context);
  *response->add_models() = router_->Describe();
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* ModelsService::GetModel(grpc::CallbackServerContext* context,
                                                  const v1::GetModelRequest* request,
                                                  v1::Model* response) {
  TakeRequestContext(*context);
  const absl::Status status = router_->validator().ValidateModel(request->name());
  if (status.ok()) *response = router_->Describe();
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(FinalStatus(status, *context));
  return reactor;
}

}  // namespace facet
