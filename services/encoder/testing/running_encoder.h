#ifndef FACET_SERVICES_ENCODER_TESTING_RUNNING_ENCODER_H_
#define FACET_SERVICES_ENCODER_TESTING_RUNNING_ENCODER_H_

// An encoder's process with a channel to it, for tests.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/grpcpp.h"
#include "proto/facet/internal/encoder.pb.h"
#include "tests/testing/process.h"

namespace facet::testing {

class RunningEncoder {
 public:
  // Starts `binary` (from the workspace's root) for a checkpoint and waits until it is ready.
  // `flags` come last. Aborted, with its output, if it does not start.
  static absl::StatusOr<std::unique_ptr<RunningEncoder>> Start(
      const std::string& binary, const std::string& model, const std::vector<std::string>& flags);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  const ServerPorts& ports() const { return ports_; }
  ChildProcess& process() { return *process_; }

  // A sample of its page; -1 if it has none.
  double Metric(const std::string& sample) const;

 private:
  std::unique_ptr<ChildProcess> process_;
  ServerPorts ports_;
  std::shared_ptr<grpc::Channel> channel_;
};

// A context whose deadline is far enough for a busy machine.
std::unique_ptr<grpc::ClientContext> PatientContext();

// The rows of soft tokens in float32, whatever they travelled as.
std::vector<float> RowsOf(const internal::SoftTokens& soft);

}  // namespace facet::testing

#endif  // FACET_SERVICES_ENCODER_TESTING_RUNNING_ENCODER_H_
