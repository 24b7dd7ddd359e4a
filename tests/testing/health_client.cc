#include "tests/testing/health_client.h"

#include <chrono>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/clock.h"

namespace facet::testing {

HealthClient::HealthClient(const std::string& address) {
  // Its own connection, so that a GOAWAY or a dead server shows.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  channel_ = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  stub_ = grpc::health::v1::Health::NewStub(channel_);
}

std::string HealthClient::Check(const std::string& service) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  grpc::health::v1::HealthCheckResponse response;
  const grpc::Status status = stub_->Check(&context, request, &response);
  if (!status.ok()) {
    return absl::StatusCodeToString(static_cast<absl::StatusCode>(status.error_code()));
  }
  return grpc::health::v1::HealthCheckResponse::ServingStatus_Name(response.status());
}

bool HealthClient::WaitFor(const std::string& service, const std::string& want,
                           absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (Check(service) != want) {
    if (absl::Now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace facet::testing
