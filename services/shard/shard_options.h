#ifndef FACET_SERVICES_SHARD_SHARD_OPTIONS_H_
#define FACET_SERVICES_SHARD_SHARD_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/dtype.h"
#include "model/config.h"
#include "shard/group/join_registry.h"
#include "shard/transformer/rank_options.h"

namespace facet {

// Everything that one rank of a shard group can be told. The flags of shard_main.cc fill it, one
// each; their help says the rest.
struct ShardOptions {
  std::string model;       // folder of the checkpoint
  std::string model_name;  // empty: the folder's name

  int rank = 0;
  int world_size = 1;
  std::string leader;  // host:port of rank 0; only the others use it
  bool expert_parallel = false;

  std::string listen = "0.0.0.0:50052";
  std::string metrics = "0.0.0.0:9090";
  std::string port_file;

  std::string dtype = "f32";      // "f32" or "bf16"
  std::string kv_dtype = "auto";  // "auto" (as dtype), "f32", "bf16", "int8", "fp8"
  int threads = 0;                // 0: one a core

  int page_tokens = 16;
  int max_step_tokens = 0;  // 0: what suits the model
  int max_running = 64;
  int max_queue = 256;
  int max_queue_tokens = 1 << 24;  // of prompts that have not been started
  bool prefix_cache = true;
  absl::Duration max_pause = absl::Minutes(1);
  int64_t max_request_bytes = int64_t{256} << 20;  // of one message of a router
  int64_t max_media_bytes = int64_t{1} << 30;      // soft tokens of all requests
  int max_context = 0;                             // tokens; 0: the model's, or what fits
  int64_t kv_cache_bytes = int64_t{2} << 30;       // of this rank, at most
  int64_t memory_limit = 0;                        // bytes; 0: what the machine has free

  std::string collective = "auto";  // "auto", "shm" or "gloo"
  std::string gloo_interface;
  absl::Duration join_timeout = absl::Minutes(5);
  absl::Duration load_timeout = absl::Minutes(30);
  absl::Duration collective_timeout = absl::Seconds(10);
  absl::Duration step_timeout = absl::Minutes(2);

  absl::Duration grace_period = absl::Seconds(30);
  absl::Duration drain_delay = absl::ZeroDuration();

  // InvalidArgument names the flag, its value and what is allowed. Checks what needs no model.
  absl::Status Validate() const;

  // max_step_tokens, or what is chosen for this model: room for its largest image beside all
  // running requests, where it sees images both ways.
  int StepTokens(const ModelConfig& config) const;

  // Of valid options.
  ComputeMode mode() const;
  DType kv_type() const;
  Transport transport() const;
};

}  // namespace facet

#endif  // FACET_SERVICES_SHARD_SHARD_OPTIONS_H_
