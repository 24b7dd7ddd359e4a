#include "tests/testing/local_group.h"

#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "tests/testing/health_client.h"

namespace facet::testing {
namespace {

constexpr absl::Duration kStartLimit = absl::Seconds(30);

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> LocalGroup::StartRank(
    const Options& options, int rank, const std::string& leader_address, ServerPorts* ports,
    const std::vector<std::string>& extra_flags) {
  const std::string port_file = MakeTestDir() + "/ports";
  std::vector<std::string> argv = {
      BinaryPath("services/shard/shard_main"),
      absl::StrCat("--model=", options.model),
      absl::StrCat("--rank=", rank),
      absl::StrCat("--world_size=", options.world_size),
      absl::StrCat("--listen=127.0.0.1:", rank == 0 ? options.leader_port : 0),
      "--metrics=127.0.0.1:0",
      absl::StrCat("--port_file=", port_file),
      "--threads=1",
      "--gloo_interface=lo"};
  if (rank > 0) argv.push_back(absl::StrCat("--leader=", leader_address));
  argv.insert(argv.end(), options.flags.begin(), options.flags.end());
  argv.insert(argv.end(), extra_flags.begin(), extra_flags.end());
  FACET_ASSIGN_OR_RETURN(auto process, ChildProcess::Start({.argv = argv}));
  FACET_ASSIGN_OR_RETURN(*ports, WaitForPorts(port_file, kStartLimit, *process));
  return process;
}

absl::StatusOr<std::unique_ptr<LocalGroup>> LocalGroup::Start(const Options& options) {
  auto group = std::make_unique<LocalGroup>();
  for (int rank = 0; rank < options.world_size; ++rank) {
    ServerPorts ports;
    FACET_ASSIGN_OR_RETURN(
        auto process, StartRank(options, rank, rank > 0 ? group->leader_address() : "", &ports));
    group->processes_.push_back(std::move(process));
    group->ports_.push_back(ports);
  }
  FACET_RETURN_IF_ERROR(group->WaitUntilReady(kStartLimit));
  return group;
}

absl::Status LocalGroup::WaitUntilReady(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (size_t r = 0; r < processes_.size(); ++r) {
    HealthClient health(ports_[r].grpc_address());
    while (health.Check("") != "SERVING") {
      const bool ended = processes_[r]->HasExited();
      if (ended || absl::Now() >= deadline) {
        return absl::AbortedError(absl::StrCat("rank ", r, ended ? " ended" : " is not ready", "\n",
                                               processes_[r]->Output()));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  return absl::OkStatus();
}

double LocalGroup::Metric(int r, const std::string& sample) const {
  const auto page = HttpGet(ports(r).metrics, "/metrics");
  return page.ok() ? MetricValue(*page, sample).value_or(-1) : -1;
}

bool LocalGroup::WaitForMetric(int r, const std::string& sample, double value,
                               absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  while (Metric(r, sample) != value) {
    if (absl::Now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace facet::testing
