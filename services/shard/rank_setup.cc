#include "services/shard/rank_setup.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "model/tensor_names.h"
#include "shard/planner/kv_pool_sizes.h"

namespace facet {
namespace {

// Requests are mostly much shorter than the context; how the bytes are shared between the pools
// follows from this.
constexpr int kTypicalTokens = 1024;

// A row of logits takes a MiB with a vocabulary of 262144.
constexpr int kLogitRows = 64;

std::string FolderName(absl::string_view path) {
  while (absl::EndsWith(path, "/")) path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  return std::string(slash == absl::string_view::npos ? path : path.substr(slash + 1));
}

absl::StatusOr<PageDemand> PoolsFor(const ShardOptions& options, const ModelConfig& config,
                                    const SlicePlan& slice, int context) {
  KvBudget budget;
  budget.bytes = options.kv_cache_bytes;
  budget.context_tokens = context;
  budget.typical_tokens = std::min(context, kTypicalTokens);
  budget.chunk_tokens = options.StepTokens(config);
  return PoolsForBytes(config, slice, options.page_tokens, options.kv_type(), budget);
}

// The longest context up to the model's of which one request fits in the budget. The demand grows
// with the context, so halving finds it.
absl::StatusOr<int> LongestContext(const ShardOptions& options, const ModelConfig& config,
                                   const SlicePlan& slice) {
  int fits = 0, too_long = config.max_position_embeddings + 1;
  absl::Status refusal;
  while (too_long - fits > 1) {
    const int middle = fits + (too_long - fits) / 2;
    const auto pools = PoolsFor(options, config, slice, middle);
    if (pools.ok()) {
      fits = middle;
    } else if (absl::IsResourceExhausted(pools.status())) {
      too_long = middle;
      refusal = pools.status();
    } else {
      return pools.status();
    }
  }
  if (fits < 2) {
    return absl::ResourceExhaustedError(
        absl::StrCat("--kv_cache_bytes: ", FormatBytes(options.kv_cache_bytes),
                     " hold no request at all: ", refusal.message()));
  }
  return fits;
}

absl::StatusOr<int> ChooseContext(const ShardOptions& options, const ModelConfig& config,
                                  const SlicePlan& slice) {
  if (options.max_context == 0) return LongestContext(options, config, slice);
  if (options.max_context < 2 || options.max_context > config.max_position_embeddings) {
    return absl::InvalidArgumentError(absl::StrCat("--max_context is ", options.max_context,
                                                   "; allowed by the model: 2 to ",
                                                   config.max_position_embeddings));
  }
  return options.max_context;
}

absl::Status SizePools(const ShardOptions& options, RankSetup& setup) {
  FACET_ASSIGN_OR_RETURN(const SlicePlan slice,
                         MakeSlicePlan(setup.config, {.world_size = options.world_size,
                                                      .rank = options.rank,
                                                      .expert_parallel = options.expert_parallel}));
  FACET_ASSIGN_OR_RETURN(setup.context_length, ChooseContext(options, setup.config, slice));
  auto pools = PoolsFor(options, setup.config, slice, setup.context_length);
  if (!pools.ok()) {
    return absl::Status(pools.status().code(),
                        absl::StrCat("--max_context=", setup.context_length,
                                     " and --kv_cache_bytes=", FormatBytes(options.kv_cache_bytes),
                                     ": ", pools.status().message()));
  }
  FACET_ASSIGN_OR_RETURN(const PageDemand most,
                         PoolsForSequences(setup.config, options.page_tokens, options.max_running,
                                           setup.context_length, options.StepTokens(setup.config)));
  setup.rank.global_pages = std::min(pools->global, most.global);
  setup.rank.sliding_pages = std::min(pools->sliding, most.sliding);
  return absl::OkStatus();
}

// The number in a file that holds one; -1 if it holds something else ("max") or is not there.
int64_t NumberIn(const char* path) {
  std::ifstream file(path);
  int64_t number = 0;
  return file >> number ? number : -1;
}

// The value behind `name` in a file of names and numbers, one a line; -1 if there is none.
int64_t NamedNumberIn(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  int64_t number = 0;
  while (file >> word >> number) {
    if (word == name) return number;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return -1;
}

// What the control group (version 2) still allows: its limit less what is in use, of which cached
// file pages are given back on demand. -1: no limit.
int64_t ControlGroupAvailableBytes() {
  const int64_t limit = NumberIn("/sys/fs/cgroup/memory.max");
  const int64_t current = NumberIn("/sys/fs/cgroup/memory.current");
  if (limit < 0 || current < 0) return -1;
  const char* stat = "/sys/fs/cgroup/memory.stat";
  const int64_t cached = std::max<int64_t>(0, NamedNumberIn(stat, "inactive_file")) +
                         std::max<int64_t>(0, NamedNumberIn(stat, "active_file"));
  return std::max<int64_t>(1, limit - std::max<int64_t>(0, current - cached));
}

}  // namespace

absl::StatusOr<RankSetup> PrepareRank(const ShardOptions& options) {
  FACET_RETURN_IF_ERROR(options.Validate());
  RankSetup setup;
  setup.model_name = options.model_name.empty() ? FolderName(options.model) : options.model_name;
  FACET_ASSIGN_OR_RETURN(setup.config, LoadModelConfig(options.model));
  FACET_ASSIGN_OR_RETURN(setup.checkpoint, OpenCheckpoint(options.model));
  FACET_ASSIGN_OR_RETURN(const TextTensors tensors,
                         TextTensors::Detect(*setup.checkpoint, setup.config));

  setup.rank.rank = options.rank;
  setup.rank.world_size = options.world_size;
  setup.rank.expert_parallel = options.expert_parallel;
  setup.rank.mode = options.mode();
  setup.rank.kv_dtype = options.kv_type();
  setup.rank.page_tokens = options.page_tokens;
  setup.rank.max_step_tokens = options.StepTokens(setup.config);
  // Every running request may want one, and prompts whose log-probabilities are asked for more.
  setup.rank.max_logit_rows =
      std::min(setup.rank.max_step_tokens, std::max(options.max_running, kLogitRows));
  FACET_RETURN_IF_ERROR(SizePools(options, setup));
  FACET_ASSIGN_OR_RETURN(setup.plan, PlanMemory(setup.config, setup.rank, tensors.Head().dtype));
  return setup;
}

BootstrapOptions MakeBootstrapOptions(const ShardOptions& options, const RankSetup& setup,
                                      const std::string& build) {
  BootstrapOptions out;
  out.identity.rank = options.rank;
  out.identity.world_size = options.world_size;
  out.identity.fingerprint = setup.checkpoint->Fingerprint();
  out.identity.settings = absl::StrCat(
      "dtype=", options.dtype, " kv_dtype=", Name(setup.rank.kv_dtype),
      " expert_parallel=", options.expert_parallel, " page_tokens=", setup.rank.page_tokens,
      " global_pages=", setup.rank.global_pages, " sliding_pages=", setup.rank.sliding_pages,
      " max_step_tokens=", setup.rank.max_step_tokens, " max_running=", options.max_running,
      " collective=", options.collective);
  out.identity.build = build;
  out.leader = options.leader;
  out.transport = options.transport();
  out.gloo_interface = options.gloo_interface;
  out.join_timeout = options.join_timeout;
  out.collective_timeout = options.collective_timeout;
  const auto cores = static_cast<int>(std::thread::hardware_concurrency());
  out.threads_per_rank = std::max(1, options.threads == 0 ? cores : options.threads);
  return out;
}

Scheduler::Options MakeSchedulerOptions(const ShardOptions& options, const RankSetup& setup) {
  Scheduler::Options out;
  out.max_step_tokens = setup.rank.max_step_tokens;
  out.max_running_sequences = options.max_running;
  out.max_logit_rows = setup.rank.max_logit_rows;
  out.max_queue = options.max_queue;
  out.max_queue_tokens = options.max_queue_tokens;
  out.page_tokens = options.page_tokens;
  out.global_pages = setup.rank.global_pages;
  out.sliding_pages = setup.rank.sliding_pages;
  out.sliding_window = setup.config.sliding_window;
  out.max_context = setup.context_length;
  return out;
}

MediaLimits MakeMediaLimits(const ShardOptions& options, const ModelConfig& config) {
  MediaLimits out;
  out.hidden_size = config.hidden_size;
  if (config.has_vision) {
    out.image_token_id = config.image_token_id;
    out.video_token_id = config.video_token_id;
  }
  if (config.has_audio) out.audio_token_id = config.audio_token_id;
  out.has_blocks = config.bidirectional_vision;
  out.max_block_tokens = out.has_blocks ? options.StepTokens(config) - options.max_running : 0;
  out.max_bytes = options.max_media_bytes;
  return out;
}

int64_t AvailableMemoryBytes() {
  const int64_t kib = NamedNumberIn("/proc/meminfo", "MemAvailable:");
  const int64_t machine = kib < 0 ? -1 : kib * 1024;
  const int64_t group = ControlGroupAvailableBytes();
  if (machine < 0 || group < 0) return std::max<int64_t>(0, std::max(machine, group));
  return std::min(machine, group);
}

}  // namespace facet
