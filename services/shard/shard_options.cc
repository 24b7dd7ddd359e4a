#include "services/shard/shard_options.h"

#include <initializer_list>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "model/media/image_size.h"

namespace facet {
namespace {

constexpr int kUsualStepTokens = 512;
constexpr int kMostStepTokens = 1 << 20;

absl::Status CheckChoice(const char* flag, const std::string& value,
                         std::initializer_list<const char*> choices) {
  for (const char* choice : choices) {
    if (value == choice) return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, " is '", value, "'; allowed: ", absl::StrJoin(choices, ", ")));
}

absl::Status CheckRange(const char* flag, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, " is ", value, "; allowed: ", least, " to ", most));
}

absl::Status CheckDuration(const char* flag, absl::Duration value, absl::Duration least,
                           absl::Duration most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", flag, " is ", absl::FormatDuration(value),
                                                 "; allowed: ", absl::FormatDuration(least), " to ",
                                                 absl::FormatDuration(most)));
}

}  // namespace

absl::Status ShardOptions::Validate() const {
  if (model.empty()) {
    return absl::InvalidArgumentError("--model is not set: the folder of a checkpoint");
  }
  FACET_RETURN_IF_ERROR(CheckRange("world_size", world_size, 1, 1024));
  FACET_RETURN_IF_ERROR(CheckRange("rank", rank, 0, world_size - 1));
  if (rank > 0 && leader.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--leader is not set: rank ", rank, " needs the address of rank 0"));
  }
  FACET_RETURN_IF_ERROR(CheckChoice("dtype", dtype, {"f32", "bf16"}));
  FACET_RETURN_IF_ERROR(CheckChoice("kv_dtype", kv_dtype, {"auto", "f32", "bf16", "int8", "fp8"}));
  FACET_RETURN_IF_ERROR(CheckChoice("collective", collective, {"auto", "shm", "gloo"}));
  FACET_RETURN_IF_ERROR(CheckRange("threads", threads, 0, 1024));
  FACET_RETURN_IF_ERROR(CheckRange("page_tokens", page_tokens, 1, 4096));
  FACET_RETURN_IF_ERROR(CheckRange("max_step_tokens", max_step_tokens, 0, kMostStepTokens));
  FACET_RETURN_IF_ERROR(CheckRange("max_running", max_running, 1,
                                   max_step_tokens == 0 ? kUsualStepTokens : max_step_tokens));
  FACET_RETURN_IF_ERROR(CheckRange("max_queue", max_queue, 1, 1 << 20));
  FACET_RETURN_IF_ERROR(CheckRange("max_queue_tokens", max_queue_tokens, 1, 1 << 30));
  FACET_RETURN_IF_ERROR(CheckRange("max_context", max_context, 0, 1 << 30));
  FACET_RETURN_IF_ERROR(CheckRange("kv_cache_bytes", kv_cache_bytes, 1, int64_t{1} << 50));
  FACET_RETURN_IF_ERROR(
      CheckRange("max_request_bytes", max_request_bytes, 1 << 16, std::numeric_limits<int>::max()));
  FACET_RETURN_IF_ERROR(CheckRange("max_media_bytes", max_media_bytes, 0, int64_t{1} << 50));
  FACET_RETURN_IF_ERROR(CheckRange("memory_limit", memory_limit, 0, int64_t{1} << 50));
  const absl::Duration ms = absl::Milliseconds(1), day = absl::Hours(24);
  FACET_RETURN_IF_ERROR(CheckDuration("join_timeout", join_timeout, ms, day));
  FACET_RETURN_IF_ERROR(CheckDuration("load_timeout", load_timeout, ms, day));
  FACET_RETURN_IF_ERROR(
      CheckDuration("collective_timeout", collective_timeout, 100 * ms, absl::Hours(1)));
  FACET_RETURN_IF_ERROR(CheckDuration("max_pause", max_pause, ms, day));
  FACET_RETURN_IF_ERROR(CheckDuration("step_timeout", step_timeout, 100 * ms, day));
  FACET_RETURN_IF_ERROR(CheckDuration("grace_period", grace_period, absl::ZeroDuration(), day));
  return CheckDuration("drain_delay", drain_delay, absl::ZeroDuration(), grace_period);
}

int ShardOptions::StepTokens(const ModelConfig& config) const {
  if (max_step_tokens != 0) return max_step_tokens;
  const bool has_blocks = config.has_vision && config.bidirectional_vision;
  return has_blocks ? kImageBudgets.back() + max_running : kUsualStepTokens;
}

ComputeMode ShardOptions::mode() const {
  return dtype == "bf16" ? ComputeMode::kBF16 : ComputeMode::kF32;
}

DType ShardOptions::kv_type() const {
  if (kv_dtype == "auto") return DefaultKvDType(mode());
  for (const DType type : {DType::kBF16, DType::kInt8, DType::kF8E4M3}) {
    if (kv_dtype == Name(type)) return type;
  }
  return DType::kF32;
}

Transport ShardOptions::transport() const {
  if (collective == "shm") return Transport::kShm;
  return collective == "gloo" ? Transport::kGloo : Transport::kAuto;
}

}  // namespace facet
