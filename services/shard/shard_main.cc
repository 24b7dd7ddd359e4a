// One rank of a shard group: holds its slice of the model and runs the group's steps. Rank 0 leads:
// it serves facet.internal.ShardEngine to routers.

#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "services/serving/flags.h"
#include "services/shard/rank_process.h"

ABSL_FLAG(std::string, model, "",
          "Folder of the checkpoint: config.json and model*.safetensors, the same on all ranks.");
ABSL_FLAG(std::string, model_name, "",
          "What the group calls the model. Empty: the name of its folder.");
ABSL_FLAG(int, rank, 0, "This process's place in the group, from 0; rank 0 leads.");
ABSL_FLAG(int, world_size, 1,
          "Ranks of the group. Must divide the query heads, the MLP width and the experts.");
ABSL_FLAG(std::string, leader, "", "host:port of rank 0; for the other ranks.");
ABSL_FLAG(std::string, listen, "127.0.0.1:50052",
          "host:port of the gRPC server; port 0 takes a free one.");
ABSL_FLAG(std::string, metrics, "127.0.0.1:0",
          "host:port of the Prometheus page /metrics; empty: none.");
ABSL_FLAG(std::string, port_file, "",
          "A file to write the ports to once they are open; empty: none.");
ABSL_FLAG(
    std::string, dtype, "f32",
    "f32: float32 activations, weights exactly as stored. bf16: bfloat16 weights, products and "
    "KV pages where the CPU has instructions for them, float32 sums.");
ABSL_FLAG(std::string, kv_dtype, "auto",
          "Of cached keys and values: f32, bf16, or auto: as --dtype.");
ABSL_FLAG(int, threads, 0, "Compute threads of this rank; 0: one a core.");
ABSL_FLAG(
    std::string, max_kernel_level, "",
    "Highest kernel level to use: reference, avx2, avx512 or avx512bf16. Empty: the best that "
    "the CPU has.");
ABSL_FLAG(bool, expert_parallel, false,
          "Whole experts per rank; false: each expert is split over the ranks.");
ABSL_FLAG(int, page_tokens, 16, "Positions of one KV page.");
ABSL_FLAG(int64_t, kv_cache_bytes, int64_t{1} << 30, "Memory of this rank for KV pages, in bytes.");
ABSL_FLAG(
    int, max_context, 0,
    "Tokens of one sequence, prompt and completion together. 0: the model's context length, cut "
    "to what --kv_cache_bytes hold.");
ABSL_FLAG(int, max_running, 64, "Sequences that hold KV pages at the same time.");
ABSL_FLAG(int, max_queue, 256,
          "Requests that may wait; beyond, they are refused with RESOURCE_EXHAUSTED.");
ABSL_FLAG(int, max_step_tokens, 512, "Tokens of one step, of all sequences together.");
ABSL_FLAG(int64_t, memory_limit, 0,
          "Bytes that this rank may take; more is refused before loading. 0: what is available.");
ABSL_FLAG(std::string, collective, "auto",
          "How ranks exchange activations: shm, gloo, or auto: shm if all can share memory.");
ABSL_FLAG(std::string, gloo_interface, "",
          "Network interface for Gloo. Empty: the address that the host's name stands for.");
ABSL_FLAG(absl::Duration, join_timeout, absl::Minutes(5),
          "For all ranks to join, and again for all to load.");
ABSL_FLAG(absl::Duration, collective_timeout, absl::Seconds(10),
          "Of one exchange: a rank that is silent for longer is lost, and the group with it.");
ABSL_FLAG(absl::Duration, step_timeout, absl::Minutes(2),
          "Of one step: a longer one is taken for hung, and the group is lost.");
ABSL_FLAG(absl::Duration, grace_period, absl::Seconds(30),
          "After SIGTERM: how long running requests may take to finish.");
ABSL_FLAG(
    absl::Duration, drain_delay, absl::ZeroDuration(),
    "After SIGTERM: how long new requests are still taken while health says NOT_SERVING. Part "
    "of the grace period.");

namespace facet {
namespace {

absl::StatusOr<Transport> ParseTransport(const std::string& name) {
  if (name == "auto") return Transport::kAuto;
  if (name == "shm") return Transport::kShm;
  if (name == "gloo") return Transport::kGloo;
  return absl::InvalidArgumentError(
      absl::StrCat("--collective is '", name, "'; auto, shm or gloo"));
}

absl::StatusOr<ProcessOptions> OptionsFromFlags() {
  ProcessOptions out;
  out.rank.model_dir = absl::GetFlag(FLAGS_model);
  out.rank.rank = absl::GetFlag(FLAGS_rank);
  out.rank.world_size = absl::GetFlag(FLAGS_world_size);
  out.rank.expert_parallel = absl::GetFlag(FLAGS_expert_parallel);
  out.rank.dtype = absl::GetFlag(FLAGS_dtype);
  out.rank.kv_dtype = absl::GetFlag(FLAGS_kv_dtype);
  out.rank.page_tokens = absl::GetFlag(FLAGS_page_tokens);
  out.rank.kv_cache_bytes = absl::GetFlag(FLAGS_kv_cache_bytes);
  out.rank.max_context = absl::GetFlag(FLAGS_max_context);
  out.rank.max_running = absl::GetFlag(FLAGS_max_running);
  out.rank.max_step_tokens = absl::GetFlag(FLAGS_max_step_tokens);
  out.rank.memory_limit = absl::GetFlag(FLAGS_memory_limit);
  out.model_name = absl::GetFlag(FLAGS_model_name);
  out.shell.listen = absl::GetFlag(FLAGS_listen);
  out.shell.metrics_listen = absl::GetFlag(FLAGS_metrics);
  out.shell.port_file = absl::GetFlag(FLAGS_port_file);
  out.shell.grace_period = absl::GetFlag(FLAGS_grace_period);
  out.shell.drain_delay = absl::GetFlag(FLAGS_drain_delay);
  out.group.leader = absl::GetFlag(FLAGS_leader);
  FACET_ASSIGN_OR_RETURN(out.group.transport, ParseTransport(absl::GetFlag(FLAGS_collective)));
  out.group.gloo_interface = absl::GetFlag(FLAGS_gloo_interface);
  out.group.join_timeout = absl::GetFlag(FLAGS_join_timeout);
  out.group.collective_timeout = absl::GetFlag(FLAGS_collective_timeout);
  out.threads = absl::GetFlag(FLAGS_threads);
  out.max_kernel_level = absl::GetFlag(FLAGS_max_kernel_level);
  out.max_queue = absl::GetFlag(FLAGS_max_queue);
  out.step_timeout = absl::GetFlag(FLAGS_step_timeout);
  return out;
}

absl::StatusOr<int> Run() {
  FACET_ASSIGN_OR_RETURN(ProcessOptions options, OptionsFromFlags());
  return RunRank(std::move(options));
}

}  // namespace
}  // namespace facet

int main(int argc, char** argv) {
  facet::ParseFlags(argc, argv, "One rank of a shard group.");
  FACET_LOG(Info) << facet::EffectiveFlags();
  const absl::StatusOr<int> exit_status = facet::Run();
  if (!exit_status.ok()) {
    FACET_LOG(Error) << exit_status.status();
    return 1;
  }
  return *exit_status;
}
