#include "tests/e2e/local_cluster.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "tests/testing/health_client.h"

namespace facet::testing {
namespace {

constexpr absl::Duration kStartLimit = absl::Seconds(40);

}  // namespace

absl::StatusOr<std::unique_ptr<LocalCluster>> LocalCluster::Start(const ClusterOptions& options) {
  auto cluster = std::make_unique<LocalCluster>();
  cluster->dir_ = MakeTestDir();
  for (int group = 0; group < options.groups; ++group) {
    FACET_RETURN_IF_ERROR(cluster->StartGroup(options, group));
  }
  for (const std::string& kind : options.encoders) {
    FACET_RETURN_IF_ERROR(cluster->StartEncoder(options, kind));
  }
  FACET_RETURN_IF_ERROR(cluster->StartRouter(options));
  const absl::Time deadline = absl::Now() + kStartLimit;
  while (Metric(cluster->router_ports_, "facet_router_groups_ready") != options.groups) {
    if (absl::Now() > deadline || cluster->router_->HasExited()) {
      std::string logs =
          absl::StrCat("the cluster is not ready\nrouter:\n", cluster->router_->Output());
      for (const auto& group : cluster->ranks_) {
        for (const Rank& rank : group) absl::StrAppend(&logs, "rank:\n", rank.process->Output());
      }
      return absl::DeadlineExceededError(logs);
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
  return cluster;
}

absl::Status LocalCluster::StartGroup(const ClusterOptions& options, int group) {
  ranks_.emplace_back();
  std::string leader;
  for (int rank = 0; rank < options.tensor_parallel; ++rank) {
    const std::string port_file = absl::StrCat(dir_, "/group", group, "-rank", rank, ".ports");
    std::vector<std::string> argv = {
        BinaryPath("services/shard/shard_main"),
        absl::StrCat("--model=", options.model),
        absl::StrCat("--rank=", rank),
        absl::StrCat("--world_size=", options.tensor_parallel),
        absl::StrCat("--expert_parallel=", options.expert_parallel ? "true" : "false"),
        "--threads=1",
        "--kv_cache_bytes=16777216",
        "--listen=127.0.0.1:0",
        "--metrics=127.0.0.1:0",
        absl::StrCat("--port_file=", port_file),
    };
    if (rank > 0) argv.push_back(absl::StrCat("--leader=", leader));
    argv.insert(argv.end(), options.shard_flags.begin(), options.shard_flags.end());
    Rank started;
    FACET_ASSIGN_OR_RETURN(started.process, ChildProcess::Start({argv}));
    if (rank == 0) {
      FACET_ASSIGN_OR_RETURN(started.ports, WaitForPorts(port_file, kStartLimit, *started.process));
      leader = started.ports.grpc_address();
    }
    ranks_.back().push_back(std::move(started));
  }
  for (int rank = 1; rank < options.tensor_parallel; ++rank) {
    Rank& started = ranks_.back()[static_cast<size_t>(rank)];
    FACET_ASSIGN_OR_RETURN(
        started.ports, WaitForPorts(absl::StrCat(dir_, "/group", group, "-rank", rank, ".ports"),
                                    kStartLimit, *started.process));
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::StartEncoder(const ClusterOptions& options, const std::string& kind) {
  const std::string port_file = absl::StrCat(dir_, "/", kind, encoders_.size(), ".ports");
  const std::string& model = options.encoder_model.empty() ? options.model : options.encoder_model;
  std::vector<std::string> argv = {BinaryPath(absl::StrCat("services/", kind, "/", kind, "_main")),
                                   absl::StrCat("--model=", model),
                                   "--threads=1",
                                   "--decode_threads=1",
                                   "--listen=127.0.0.1:0",
                                   "--metrics=127.0.0.1:0",
                                   absl::StrCat("--port_file=", port_file)};
  argv.insert(argv.end(), options.encoder_flags.begin(), options.encoder_flags.end());
  Rank started;
  FACET_ASSIGN_OR_RETURN(started.process, ChildProcess::Start({argv}));
  FACET_ASSIGN_OR_RETURN(started.ports, WaitForPorts(port_file, kStartLimit, *started.process));
  if (!HealthClient(started.ports.grpc_address()).WaitFor("", "SERVING", kStartLimit)) {
    return absl::DeadlineExceededError(
        absl::StrCat("the ", kind, " encoder is not ready\n", started.process->Output()));
  }
  encoder_addresses_[kind].push_back(started.ports.grpc_address());
  encoders_.push_back(std::move(started));
  return absl::OkStatus();
}

absl::Status LocalCluster::StartRouter(const ClusterOptions& options) {
  std::vector<std::string> leaders;
  for (const auto& group : ranks_) leaders.push_back(group[0].ports.grpc_address());
  const std::string port_file = absl::StrCat(dir_, "/router.ports");
  std::vector<std::string> argv = {
      BinaryPath("services/router/router_main"),
      absl::StrCat("--model=", options.model),
      absl::StrCat("--groups=", absl::StrJoin(leaders, ",")),
      "--listen=127.0.0.1:0",
      "--metrics=127.0.0.1:0",
      absl::StrCat("--port_file=", port_file),
  };
  for (const auto& [kind, addresses] : encoder_addresses_) {
    argv.push_back(absl::StrCat("--", kind, "_encoders=", absl::StrJoin(addresses, ",")));
  }
  argv.insert(argv.end(), options.router_flags.begin(), options.router_flags.end());
  FACET_ASSIGN_OR_RETURN(router_, ChildProcess::Start({argv}));
  FACET_ASSIGN_OR_RETURN(router_ports_, WaitForPorts(port_file, kStartLimit, *router_));
  router_address_ = router_ports_.grpc_address();
  channel_ = grpc::CreateChannel(router_address_, grpc::InsecureChannelCredentials());
  return absl::OkStatus();
}

double LocalCluster::Metric(const ServerPorts& ports, const std::string& sample) {
  const absl::StatusOr<std::string> page = HttpGet(ports.metrics, "/metrics");
  if (!page.ok()) return -1;
  return MetricValue(*page, sample).value_or(-1);
}

}  // namespace facet::testing
