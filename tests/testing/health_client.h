#ifndef FACET_TESTS_TESTING_HEALTH_CLIENT_H_
#define FACET_TESTS_TESTING_HEALTH_CLIENT_H_

// A client of grpc.health.v1, as a Kubernetes probe is one.

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "proto/grpc/health/v1/health.grpc.pb.h"

namespace facet::testing {

class HealthClient {
 public:
  explicit HealthClient(const std::string& address);

  // "SERVING", "NOT_SERVING", or the name of the call's error: "NOT_FOUND", "UNAVAILABLE",
  // "DEADLINE_EXCEEDED" (2 s), ...
  std::string Check(const std::string& service);

  // Polls until Check(service) gives `want`; false if it does not within `timeout`.
  bool WaitFor(const std::string& service, const std::string& want, absl::Duration timeout);

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::health::v1::Health::Stub> stub_;
};

}  // namespace facet::testing

#endif  // FACET_TESTS_TESTING_HEALTH_CLIENT_H_
