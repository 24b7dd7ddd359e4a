#ifndef FACET_TESTS_E2E_LOCAL_CLUSTER_H_
#define FACET_TESTS_E2E_LOCAL_CLUSTER_H_

// A whole cluster of real processes on loopback: a router and shard groups.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "tests/testing/process.h"

namespace facet::testing {

struct ClusterOptions {
  std::string model;  // folder of a checkpoint
  int tensor_parallel = 1;
  bool expert_parallel = false;
  int groups = 1;
  std::vector<std::string> router_flags = {};
  std::vector<std::string> shard_flags = {};
  // "vision", "audio", each a process: their binaries are `data` of the test.
  std::vector<std::string> encoders = {};
  std::vector<std::string> encoder_flags = {};  // of all of them
  std::string encoder_model = {};               // empty: the same
};

// Everything ends when it goes. The test's target lists both services' binaries as `data`.
class LocalCluster {
 public:
  // Returns when every group is ready and the router says so. Errors hold the end of a log.
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Start(const ClusterOptions& options);

  ChildProcess& router() { return *router_; }
  const ServerPorts& router_ports() const { return router_ports_; }
  const std::string& router_address() const { return router_address_; }
  std::shared_ptr<grpc::Channel> channel() const { return channel_; }

  // Rank `rank` of group `group`; rank 0 leads.
  ChildProcess& rank(int group, int rank) { return *ranks_[group][rank].process; }
  const ServerPorts& rank_ports(int group, int rank) const { return ranks_[group][rank].ports; }

  // Of ClusterOptions::encoders, in their order.
  ChildProcess& encoder(size_t index) { return *encoders_[index].process; }
  const ServerPorts& encoder_ports(size_t index) const { return encoders_[index].ports; }

  // A sample of a process's page, named as on the page; -1 if it cannot be read.
  static double Metric(const ServerPorts& ports, const std::string& sample);

 private:
  struct Rank {
    std::unique_ptr<ChildProcess> process;
    ServerPorts ports;
  };

  absl::Status StartGroup(const ClusterOptions& options, int group);
  absl::Status StartEncoder(const ClusterOptions& options, const std::string& kind);
  absl::Status StartRouter(const ClusterOptions& options);

  std::string dir_;
  std::vector<std::vector<Rank>> ranks_;
  std::vector<Rank> encoders_;
  std::map<std::string, std::vector<std::string>> encoder_addresses_;  // by kind
  std::unique_ptr<ChildProcess> router_;
  ServerPorts router_ports_;
  std::string router_address_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace facet::testing

#endif  // FACET_TESTS_E2E_LOCAL_CLUSTER_H_
