#ifndef FACET_SERVICES_SHARD_RANK_SETUP_H_
#define FACET_SERVICES_SHARD_RANK_SETUP_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "model/checkpoint.h"
#include "model/config.h"
#include "services/shard/shard_options.h"
#include "shard/group/bootstrap.h"
#include "shard/group/request_media.h"
#include "shard/planner/memory_plan.h"
#include "shard/scheduler/scheduler.h"
#include "shard/transformer/rank_options.h"

namespace facet {

// What a rank knows before it loads weights: cheap to find out, so every mistake shows at once.
struct RankSetup {
  std::string model_name;
  ModelConfig config;
  std::unique_ptr<Checkpoint> checkpoint;
  RankOptions rank;        // pools included
  int context_length = 0;  // of one request, prompt and completion together
  MemoryPlan plan;
};

// Reads the configuration and the headers of the checkpoint, sizes the KV pools, and plans memory.
//
// The context length is --max_context, or else the model's, or else the longest for which one
// request fits in --kv_cache_bytes. Pools are as large as that many bytes allow, but never larger
// than --max_running requests of full length need. All of it follows from flags and checkpoint
// alone, so that every rank comes to the same numbers.
//   NotFound, InvalidArgument   the checkpoint, or flags that do not fit it
//   ResourceExhausted           --max_context needs more KV cache than --kv_cache_bytes
absl::StatusOr<RankSetup> PrepareRank(const ShardOptions& options);

BootstrapOptions MakeBootstrapOptions(const ShardOptions& options, const RankSetup& setup,
                                      const std::string& build);
Scheduler::Options MakeSchedulerOptions(const ShardOptions& options, const RankSetup& setup);
MediaLimits MakeMediaLimits(const ShardOptions& options, const ModelConfig& config);

// Bytes that this process may take: what the machine has available now, or what its control group
// still allows, whichever is less. 0 if the system does not say.
int64_t AvailableMemoryBytes();

}  // namespace facet

#endif  // FACET_SERVICES_SHARD_RANK_SETUP_H_
