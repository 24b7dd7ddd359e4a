#ifndef FACET_TESTS_TESTING_LOCAL_GROUP_H_
#define FACET_TESTS_TESTING_LOCAL_GROUP_H_

// A shard group of real processes on loopback. The test lists //services/shard:shard_main and the
// checkpoint as `data`.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/testing/process.h"

namespace facet::testing {

class LocalGroup {
 public:
  struct Options {
    std::string model;  // folder of the checkpoint
    int world_size = 2;
    std::vector<std::string> flags = {};  // for every rank
    int leader_port = 0;                  // 0: a free one
  };

  // Starts every rank and waits until all are ready (30 s).
  static absl::StatusOr<std::unique_ptr<LocalGroup>> Start(const Options& options);

  // One rank of a group: returns when its ports are open. `extra_flags` come last and win.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> StartRank(
      const Options& options, int rank, const std::string& leader_address, ServerPorts* ports,
      const std::vector<std::string>& extra_flags = {});

  // Waits until every rank says SERVING.
  absl::Status WaitUntilReady(absl::Duration timeout);

  ChildProcess& rank(int r) { return *processes_[static_cast<size_t>(r)]; }
  const ServerPorts& ports(int r) const { return ports_[static_cast<size_t>(r)]; }
  std::string leader_address() const { return ports_[0].grpc_address(); }
  int world_size() const { return static_cast<int>(processes_.size()); }

  // A sample of the metrics page of rank `r`; -1 if it cannot be read.
  double Metric(int r, const std::string& sample) const;

  // Polls until the sample has this value; false if it does not within `timeout`.
  bool WaitForMetric(int r, const std::string& sample, double value, absl::Duration timeout) const;

 private:
  std::vector<std::unique_ptr<ChildProcess>> processes_;
  std::vector<ServerPorts> ports_;
};

}  // namespace facet::testing

#endif  // FACET_TESTS_TESTING_LOCAL_GROUP_H_
