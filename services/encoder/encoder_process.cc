#include "services/encoder/encoder_process.h"

#include <algorithm>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"

namespace facet {
namespace {

// Of a request beside its media: field tags, timestamps of frames.
constexpr int64_t kMessageOverhead = 1 << 20;

// A router that knows its encoders by a DNS name looks it up again when a connection ends: so it
// finds replicas that were added. Calls on the connection are not disturbed.
constexpr absl::Duration kMaxConnectionAge = absl::Minutes(1);

absl::Status CheckRange(const char* flag, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, " is ", value, "; allowed: ", least, " to ", most));
}

absl::Status CheckDuration(const char* flag, absl::Duration value, absl::Duration most) {
  if (value >= absl::ZeroDuration() && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", flag, " is ", absl::FormatDuration(value),
                                                 "; allowed: 0 to ", absl::FormatDuration(most)));
}

std::string FolderName(std::filesystem::path path) {
  path = std::filesystem::absolute(path).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

}  // namespace

absl::Status EncoderOptions::Validate() const {
  if (model.empty()) {
    return absl::InvalidArgumentError("--model is not set: the folder of a checkpoint");
  }
  if (dtype != "f32" && dtype != "bf16") {
    return absl::InvalidArgumentError(absl::StrCat("--dtype is '", dtype, "'; allowed: f32, bf16"));
  }
  const int64_t terabyte = int64_t{1} << 40;
  FACET_RETURN_IF_ERROR(CheckRange("threads", threads, 0, 1024));
  FACET_RETURN_IF_ERROR(CheckRange("decode_threads", decode_threads, 0, 1024));
  FACET_RETURN_IF_ERROR(CheckRange("max_media_bytes", max_media_bytes, 1, 1 << 30));
  FACET_RETURN_IF_ERROR(CheckRange("max_requests", max_requests, 1, 1 << 16));
  FACET_RETURN_IF_ERROR(CheckRange("max_request_bytes", max_request_bytes, 1, terabyte));
  FACET_RETURN_IF_ERROR(CheckRange("max_batch", max_batch, 1, 1 << 24));
  FACET_RETURN_IF_ERROR(CheckRange("cache_bytes", cache_bytes, 0, terabyte));
  FACET_RETURN_IF_ERROR(CheckDuration("grace_period", grace_period, absl::Hours(24)));
  return CheckDuration("drain_delay", drain_delay, grace_period);
}

ComputeMode EncoderOptions::mode() const {
  return dtype == "bf16" ? ComputeMode::kBF16 : ComputeMode::kF32;
}

DType EncoderOptions::row_type() const { return dtype == "bf16" ? DType::kBF16 : DType::kF32; }

namespace encoder_internal {

absl::StatusOr<std::unique_ptr<ServerShell>> MakeShell(const EncoderOptions& options,
                                                       const std::string& service) {
  ServerShellOptions shell;
  shell.listen = options.listen;
  shell.metrics_listen = options.metrics;
  shell.port_file = options.port_file;
  shell.services = {service};
  shell.grace_period = options.grace_period;
  shell.drain_delay = options.drain_delay;
  shell.max_connection_age = kMaxConnectionAge;
  shell.max_receive_message_bytes = static_cast<int>(options.max_media_bytes + kMessageOverhead);
  return ServerShell::Create(shell);
}

internal::EncoderInfo MakeInfo(const EncoderOptions& options, const Checkpoint& checkpoint,
                               int hidden_size) {
  internal::EncoderInfo info;
  info.set_model_name(options.model_name.empty() ? FolderName(options.model) : options.model_name);
  info.set_fingerprint(checkpoint.Fingerprint());
  info.set_hidden_size(hidden_size);
  info.set_dtype(Name(options.row_type()));
  info.set_max_media_bytes(options.max_media_bytes);
  return info;
}

int CoresUnlessSet(int threads) {
  if (threads != 0) return threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int EndFailedStart(ServerShell& shell, const absl::Status& reason) {
  shell.Fail(reason);
  return shell.Wait();
}

}  // namespace encoder_internal
}  // namespace facet
