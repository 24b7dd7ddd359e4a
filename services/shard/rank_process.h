#ifndef FACET_SERVICES_SHARD_RANK_PROCESS_H_
#define FACET_SERVICES_SHARD_RANK_PROCESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/serving/server_shell.h"
#include "services/shard/rank_setup.h"
#include "shard/group/bootstrap.h"

namespace facet {

struct ProcessOptions {
  RankSettings rank;
  std::string model_name;  // empty: the name of the model's folder
  ServerShellOptions shell;
  BootstrapOptions group;        // identity is filled from the setup
  int threads = 0;               // compute threads; 0: one a core
  std::string max_kernel_level;  // "": the best of this CPU
  int max_queue = 256;
  absl::Duration step_timeout = absl::Minutes(2);
};

// One rank from its settings to its end: prepares, joins the group, loads, serves. Returns the exit
// status: 0 after an orderly end, 1 when the group was lost. An error is one of the start.
absl::StatusOr<int> RunRank(ProcessOptions options);

}  // namespace facet

#endif  // FACET_SERVICES_SHARD_RANK_PROCESS_H_
