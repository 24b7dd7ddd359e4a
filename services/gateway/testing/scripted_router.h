#ifndef FACET_SERVICES_GATEWAY_TESTING_SCRIPTED_ROUTER_H_
#define FACET_SERVICES_GATEWAY_TESTING_SCRIPTED_ROUTER_H_

#include <functional>
#include <memory>
#include <string>

#include "grpcpp/grpcpp.h"
#include "proto/facet/v1/generation.grpc.pb.h"
#include "proto/facet/v1/models.grpc.pb.h"

namespace facet::testing {

// A gRPC server on loopback that answers facet.v1 as a test says. Set the scripts before the calls.
class ScriptedRouter {
 public:
  using ChatScript = std::function<grpc::Status(grpc::ServerContext*, const v1::ChatRequest&,
                                                grpc::ServerWriter<v1::ChatResponse>*)>;
  using GenerateScript = std::function<grpc::Status(
      grpc::ServerContext*, const v1::GenerateRequest&, grpc::ServerWriter<v1::GenerateResponse>*)>;

  ScriptedRouter();
  ~ScriptedRouter();
  ScriptedRouter(const ScriptedRouter&) = delete;
  ScriptedRouter& operator=(const ScriptedRouter&) = delete;

  int port() const { return port_; }
  std::shared_ptr<grpc::Channel> Channel() const;

  // Until set: "hi", and the end.
  ChatScript chat;
  GenerateScript generate;
  int ready_groups = 1;

 private:
  class GenerationService;
  class ModelsService;
  std::unique_ptr<GenerationService> generation_;
  std::unique_ptr<ModelsService> models_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

// An event in Protobuf's text format.
v1::ChatResponse ChatEvent(const std::string& text);
v1::GenerateResponse GenerateEvent(const std::string& text);

}  // namespace facet::testing

#endif  // FACET_SERVICES_GATEWAY_TESTING_SCRIPTED_ROUTER_H_
