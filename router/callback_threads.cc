#include "router/callback_threads.h"

#include <memory>

#include "grpcpp/grpcpp.h"
#include "proto/grpc/health/v1/health.grpc.pb.h"

namespace facet {
namespace {

// A channel to nobody that has made one call: its share of the threads is never given back.
struct LastingChannel {
  LastingChannel() {
    stub->async()->Check(&context, &request, &response, [](const grpc::Status&) {});
  }

  const std::unique_ptr<grpc::health::v1::Health::Stub> stub = grpc::health::v1::Health::NewStub(
      grpc::CreateChannel("127.0.0.1:9", grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckRequest request;
  grpc::health::v1::HealthCheckResponse response;
};

// A member of a union is not destroyed with it.
union NeverDestroyed {
  NeverDestroyed() : channel() {}
  ~NeverDestroyed() {}
  LastingChannel channel;
};

}  // namespace

void KeepCallbackThreads() { static NeverDestroyed lasting; }

}  // namespace facet
