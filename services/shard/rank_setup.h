#ifndef FACET_SERVICES_SHARD_RANK_SETUP_H_
#define FACET_SERVICES_SHARD_RANK_SETUP_H_

// What one rank is about to run: read from the checkpoint and the settings before any weight is
// loaded, so that what cannot work is refused at once.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "model/checkpoint.h"
#include "model/config.h"
#include "shard/planner/memory_plan.h"
#include "shard/transformer/rank_options.h"

namespace facet {

struct RankSettings {
  std::string model_dir;
  int rank = 0;
  int world_size = 1;
  bool expert_parallel = false;
  std::string dtype = "f32";      // f32 | bf16
  std::string kv_dtype = "auto";  // auto: the usual one of dtype; f32 | bf16
  int page_tokens = 16;
  int64_t kv_cache_bytes = int64_t{1} << 30;  // of this rank
  int max_context = 0;   // tokens of one sequence; 0: the model's, or what kv_cache_bytes hold
  int max_running = 64;  // sequences with KV pages
  int max_step_tokens = 512;
  int64_t memory_limit = 0;  // bytes of this rank; 0: what the machine (or its cgroup) has left
};

struct RankSetup {
  ModelConfig config;
  std::unique_ptr<Checkpoint> checkpoint;
  RankOptions options;
  int max_context = 0;
  MemoryPlan memory;
};

// InvalidArgument names the setting, its value and the limit; ResourceExhausted, with the numbers,
// if the plan does not fit in memory; errors of the checkpoint as they are. Pool sizes and context
// follow from the settings and the model alone, so all ranks find the same.
absl::StatusOr<RankSetup> PrepareRank(const RankSettings& settings);

// Every setting that all ranks must agree on, as `name=value` words.
std::string SharedSettings(const RankSetup& setup, int max_running);

// Bytes that this process may still take: of the machine, or of its cgroup if that is less.
int64_t AvailableMemory();

}  // namespace facet

#endif  // FACET_SERVICES_SHARD_RANK_SETUP_H_
