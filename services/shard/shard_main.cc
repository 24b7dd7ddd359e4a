// One rank of a shard group.

#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "services/serving/build_info.h"
#include "services/serving/byte_size.h"
#include "services/serving/flags.h"
#include "services/shard/rank_process.h"
#include "services/shard/shard_options.h"

namespace facet {
namespace {

const ShardOptions& Defaults() {
  static const auto* defaults = new ShardOptions;
  return *defaults;
}

}  // namespace
}  // namespace facet

// The model and this rank's place in its group.
ABSL_FLAG(std::string, model, "",
          "Folder of the checkpoint: config.json and *.safetensors. The same on all ranks.");
ABSL_FLAG(std::string, model_name, "", "Name that clients use; empty: the folder's name.");
ABSL_FLAG(int, rank, 0, "Place of this process in its group, from 0. Rank 0 leads.");
ABSL_FLAG(int, world_size, 1, "Number of ranks of the group.");
ABSL_FLAG(std::string, leader, "", "host:port of rank 0. Needed by the others, ignored by rank 0.");
ABSL_FLAG(
    bool, expert_parallel, false,
    "Mixture of experts: deal whole experts out to the ranks instead of cutting each of them.");

// Where it is reached.
ABSL_FLAG(std::string, listen, facet::Defaults().listen,
          "host:port of the gRPC server; port 0 takes a free one.");
ABSL_FLAG(std::string, metrics, facet::Defaults().metrics,
          "host:port of the Prometheus page; port 0 takes a free one; empty: none.");
ABSL_FLAG(std::string, port_file, "",
          "File that tells the ports in use, as JSON, once they are open; empty: none.");

// How it computes.
ABSL_FLAG(
    std::string, dtype, facet::Defaults().dtype,
    "f32: float32 activations and the weights as stored; bf16: bfloat16 products where the CPU "
    "has them, float32 sums.");
ABSL_FLAG(std::string, kv_dtype, facet::Defaults().kv_dtype,
          "Type of cached keys and values: f32, bf16, int8 or fp8 (a byte an element, with a scale "
          "for each head of each position), or auto (as --dtype).");
ABSL_FLAG(int, threads, facet::Defaults().threads, "Threads that compute; 0: one a core.");

// How much it takes on.
ABSL_FLAG(int, max_context, facet::Defaults().max_context,
          "Tokens of one request, prompt and completion together; 0: the model's limit, or the "
          "longest that --kv_cache_bytes can hold.");
ABSL_FLAG(facet::ByteSize, kv_cache_bytes, facet::ByteSize{facet::Defaults().kv_cache_bytes},
          "Most memory of this rank for cached keys and values, e.g. 8GiB.");
ABSL_FLAG(
    facet::ByteSize, memory_limit, facet::ByteSize{facet::Defaults().memory_limit},
    "Memory that this rank may plan for in all; it refuses to start if it needs more. 0: what "
    "the machine or the container has free.");
ABSL_FLAG(int, page_tokens, facet::Defaults().page_tokens, "Tokens of one page of the KV cache.");
ABSL_FLAG(
    int, max_step_tokens, facet::Defaults().max_step_tokens,
    "Most tokens computed in one step, all requests together. Larger: faster prompts; smaller: "
    "steadier streams and less memory. Models that see images both ways (26B-A4B, 31B) compute an "
    "image in one step: it may have as many soft tokens as this less --max_running. 0: 512, or for "
    "those models 1120 more than --max_running.");
ABSL_FLAG(int, max_running, facet::Defaults().max_running,
          "Most requests that run at a time; at most --max_step_tokens, or 512 if that is 0.");
ABSL_FLAG(int, max_queue, facet::Defaults().max_queue,
          "Most requests that wait beyond those; more are refused with RESOURCE_EXHAUSTED.");
ABSL_FLAG(int, max_queue_tokens, facet::Defaults().max_queue_tokens,
          "Most tokens of prompts that wait for their first step; what would make more is refused "
          "with RESOURCE_EXHAUSTED, but for a prompt that is alone.");
ABSL_FLAG(bool, prefix_cache, facet::Defaults().prefix_cache,
          "Keep the KV pages of prompts while there is room, for prompts that begin alike.");
ABSL_FLAG(absl::Duration, max_pause, facet::Defaults().max_pause,
          "For a request whose reader is behind; after a longer pause it ends with "
          "RESOURCE_EXHAUSTED.");
ABSL_FLAG(facet::ByteSize, max_request_bytes, facet::ByteSize{facet::Defaults().max_request_bytes},
          "Most bytes of one request from a router, its soft tokens (images, video, audio) "
          "included; at most 2GiB less one.");
ABSL_FLAG(
    facet::ByteSize, max_media_bytes, facet::ByteSize{facet::Defaults().max_media_bytes},
    "Most memory of rank 0 for the soft tokens of all requests, waiting and running; more are "
    "refused with RESOURCE_EXHAUSTED.");

// How the ranks exchange.
ABSL_FLAG(std::string, collective, facet::Defaults().collective,
          "shm: shared memory, for ranks on one host; gloo: TCP; auto: shm where all ranks can.");
ABSL_FLAG(std::string, gloo_interface, "",
          "Gloo: network interface where the other ranks reach this one; empty: the address of the "
          "host's name.");

// How long it waits.
ABSL_FLAG(absl::Duration, join_timeout, facet::Defaults().join_timeout,
          "For all ranks to join; then the missing ones are named.");
ABSL_FLAG(absl::Duration, load_timeout, facet::Defaults().load_timeout,
          "For the other ranks to have loaded, once this one has.");
ABSL_FLAG(absl::Duration, collective_timeout, facet::Defaults().collective_timeout,
          "For a rank in one exchange; a silent one is lost then, and the group with it.");
ABSL_FLAG(absl::Duration, step_timeout, facet::Defaults().step_timeout,
          "For one step; a longer one counts as hung, and the group as lost.");
ABSL_FLAG(absl::Duration, grace_period, facet::Defaults().grace_period,
          "From SIGTERM until running requests are cut off.");
ABSL_FLAG(absl::Duration, drain_delay, facet::Defaults().drain_delay,
          "Part of it in which the server still takes calls, for load balancers to notice.");

namespace facet {
namespace {

ShardOptions OptionsFromFlags() {
  ShardOptions options;
  options.model = absl::GetFlag(FLAGS_model);
  options.model_name = absl::GetFlag(FLAGS_model_name);
  options.rank = absl::GetFlag(FLAGS_rank);
  options.world_size = absl::GetFlag(FLAGS_world_size);
  options.leader = absl::GetFlag(FLAGS_leader);
  options.expert_parallel = absl::GetFlag(FLAGS_expert_parallel);
  options.listen = absl::GetFlag(FLAGS_listen);
  options.metrics = absl::GetFlag(FLAGS_metrics);
  options.port_file = absl::GetFlag(FLAGS_port_file);
  options.dtype = absl::GetFlag(FLAGS_dtype);
  options.kv_dtype = absl::GetFlag(FLAGS_kv_dtype);
  options.threads = absl::GetFlag(FLAGS_threads);
  options.max_context = absl::GetFlag(FLAGS_max_context);
  options.kv_cache_bytes = absl::GetFlag(FLAGS_kv_cache_bytes).bytes;
  options.memory_limit = absl::GetFlag(FLAGS_memory_limit).bytes;
  options.page_tokens = absl::GetFlag(FLAGS_page_tokens);
  options.max_step_tokens = absl::GetFlag(FLAGS_max_step_tokens);
  options.max_running = absl::GetFlag(FLAGS_max_running);
  options.max_queue = absl::GetFlag(FLAGS_max_queue);
  options.max_queue_tokens = absl::GetFlag(FLAGS_max_queue_tokens);
  options.prefix_cache = absl::GetFlag(FLAGS_prefix_cache);
  options.max_pause = absl::GetFlag(FLAGS_max_pause);
  options.max_request_bytes = absl::GetFlag(FLAGS_max_request_bytes).bytes;
  options.max_media_bytes = absl::GetFlag(FLAGS_max_media_bytes).bytes;
  options.collective = absl::GetFlag(FLAGS_collective);
  options.gloo_interface = absl::GetFlag(FLAGS_gloo_interface);
  options.join_timeout = absl::GetFlag(FLAGS_join_timeout);
  options.load_timeout = absl::GetFlag(FLAGS_load_timeout);
  options.collective_timeout = absl::GetFlag(FLAGS_collective_timeout);
  options.step_timeout = absl::GetFlag(FLAGS_step_timeout);
  options.grace_period = absl::GetFlag(FLAGS_grace_period);
  options.drain_delay = absl::GetFlag(FLAGS_drain_delay);
  return options;
}

}  // namespace
}  // namespace facet

int main(int argc, char** argv) {
  facet::ParseFlags(argc, argv,
                    "One rank of a shard group: a copy of a Gemma 4 model, cut over --world_size "
                    "processes.\nEvery flag can also be set in the environment: --max_queue as "
                    "FACET_MAX_QUEUE.");
  const facet::ShardOptions options = facet::OptionsFromFlags();
  if (const absl::Status valid = options.Validate(); !valid.ok()) {
    std::fprintf(stderr, "shard_main: %s\n", std::string(valid.message()).c_str());
    return 2;
  }
  FACET_LOG(Info) << "facet " << facet::Version() << " build " << facet::BuildId() << ": "
                  << facet::EffectiveFlags();
  return facet::RunRank(options);
}
