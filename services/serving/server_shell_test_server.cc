// A process with a shell and one slow service, for server_shell_test.

#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "proto/facet/internal/shard_group.grpc.pb.h"
#include "services/serving/flags.h"
#include "services/serving/server_shell.h"

ABSL_FLAG(std::string, port_file, "", "where the ports are written");
ABSL_FLAG(absl::Duration, grace_period, absl::Seconds(20), "time to finish running calls");
ABSL_FLAG(bool, deaf, false, "calls ignore their cancellation");
ABSL_FLAG(bool, never_ready, false, "stay in the loading phase");

namespace {

// Get answers after timeout_ms, or when it is cancelled.
class SlowService final : public facet::internal::ShardGroup::Service {
 public:
  grpc::Status Get(grpc::ServerContext* context, const facet::internal::GetRequest* request,
                   facet::internal::GetResponse* response) override {
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(request->timeout_ms());
    std::printf("call started\n");
    std::fflush(stdout);
    while (std::chrono::steady_clock::now() < end) {
      if (!absl::GetFlag(FLAGS_deaf) && context->IsCancelled()) {
        return grpc::Status(grpc::StatusCode::CANCELLED, "");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    response->set_value("late");
    return grpc::Status::OK;
  }
};

}  // namespace

int main(int argc, char** argv) {
  facet::ParseFlags(argc, argv, "A server for tests.");
  facet::ServerShellOptions options;
  options.port_file = absl::GetFlag(FLAGS_port_file);
  options.grace_period = absl::GetFlag(FLAGS_grace_period);
  options.services = {facet::internal::ShardGroup::service_full_name()};
  auto shell = facet::ServerShell::Create(options);
  SlowService service;
  if (!shell.ok() || !(*shell)->Start({&service}).ok()) return 3;
  std::printf("%s\n", facet::EffectiveFlags().c_str());
  std::fflush(stdout);
  while (absl::GetFlag(FLAGS_never_ready)) std::this_thread::sleep_for(std::chrono::seconds(1));
  (*shell)->SetServing(true);
  return (*shell)->Wait();
}
