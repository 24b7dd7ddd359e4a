// The audio encoder: sound to soft tokens.

#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "services/audio/audio_config.h"
#include "services/audio/audio_encoder.h"
#include "services/encoder/encoder_process.h"
#include "services/serving/byte_size.h"
#include "services/serving/flags.h"

namespace facet {
namespace {

const EncoderOptions& Defaults() {
  static const auto* defaults = [] {
    auto* options = new EncoderOptions;
    options->listen = "127.0.0.1:50054";
    options->max_batch = 24000;
    return options;
  }();
  return *defaults;
}

}  // namespace
}  // namespace facet

ABSL_FLAG(std::string, model, "",
          "Folder of the checkpoint: config.json and *.safetensors, of which the audio tower is "
          "read.");
ABSL_FLAG(std::string, model_name, "", "What GetInfo calls the model; empty: the folder's name.");
ABSL_FLAG(std::string, listen, facet::Defaults().listen,
          "host:port of the gRPC server; port 0 takes a free one.");
ABSL_FLAG(std::string, metrics, "127.0.0.1:0",
          "host:port of the Prometheus page; port 0 takes a free one; empty: none.");
ABSL_FLAG(std::string, port_file, "",
          "File that tells the ports in use, as JSON, once they are open; empty: none.");
ABSL_FLAG(std::string, dtype, facet::Defaults().dtype,
          "f32: float32 activations, the weights as stored, soft tokens in float32; bf16: bfloat16 "
          "products where the CPU has them, soft tokens in bfloat16.");
ABSL_FLAG(int, threads, facet::Defaults().threads,
          "Threads that compute the network; 0: one a core.");
ABSL_FLAG(int, decode_threads, facet::Defaults().decode_threads,
          "Threads that decode and resample; 0: one a core.");
ABSL_FLAG(facet::ByteSize, max_media_bytes, facet::ByteSize{facet::Defaults().max_media_bytes},
          "Most bytes of one request's file; at most 1GiB.");
ABSL_FLAG(int, max_requests, facet::Defaults().max_requests,
          "Requests in the encoder at the same time; more are refused with RESOURCE_EXHAUSTED.");
ABSL_FLAG(facet::ByteSize, max_request_bytes, facet::ByteSize{facet::Defaults().max_request_bytes},
          "Most bytes of those requests together; a single one may be larger.");
ABSL_FLAG(int, max_batch, facet::Defaults().max_batch,
          "Most frames of 10 ms in one batch of the network; a clip that has more runs alone. "
          "Decides the memory for activations.");
ABSL_FLAG(facet::ByteSize, cache_bytes, facet::ByteSize{facet::Defaults().cache_bytes},
          "Memory for soft tokens of media seen before; 0: none.");
ABSL_FLAG(int, audio_left_context, 12,
          "Frames of 40 ms that a frame attends to, itself included: 12, as transformers computes "
          "it, or 13, as Google's JAX code does.");
ABSL_FLAG(absl::Duration, grace_period, facet::Defaults().grace_period,
          "From SIGTERM until running requests are cut off.");
ABSL_FLAG(absl::Duration, drain_delay, facet::Defaults().drain_delay,
          "Part of it in which the server still takes calls, for load balancers to notice.");

namespace facet {
namespace {

EncoderOptions OptionsFromFlags() {
  EncoderOptions options;
  options.model = absl::GetFlag(FLAGS_model);
  options.model_name = absl::GetFlag(FLAGS_model_name);
  options.listen = absl::GetFlag(FLAGS_listen);
  options.metrics = absl::GetFlag(FLAGS_metrics);
  options.port_file = absl::GetFlag(FLAGS_port_file);
  options.dtype = absl::GetFlag(FLAGS_dtype);
  options.threads = absl::GetFlag(FLAGS_threads);
  options.decode_threads = absl::GetFlag(FLAGS_decode_threads);
  options.max_media_bytes = absl::GetFlag(FLAGS_max_media_bytes).bytes;
  options.max_requests = absl::GetFlag(FLAGS_max_requests);
  options.max_request_bytes = absl::GetFlag(FLAGS_max_request_bytes).bytes;
  options.max_batch = absl::GetFlag(FLAGS_max_batch);
  options.cache_bytes = absl::GetFlag(FLAGS_cache_bytes).bytes;
  options.grace_period = absl::GetFlag(FLAGS_grace_period);
  options.drain_delay = absl::GetFlag(FLAGS_drain_delay);
  return options;
}

// The configuration counts as transformers does: one less than its attention_context_left.
absl::Status SetLeftContext(int frames, AudioConfig& config) {
  if (frames != 12 && frames != 13) {
    return absl::InvalidArgumentError(
        absl::StrCat("--audio_left_context is ", frames, "; allowed: 12, 13"));
  }
  config.attention_keys += frames - 12;
  return absl::OkStatus();
}

absl::StatusOr<int> Serve(const EncoderOptions& options) {
  FACET_ASSIGN_OR_RETURN(AudioConfig config, LoadAudioConfig(options.model));
  FACET_RETURN_IF_ERROR(SetLeftContext(absl::GetFlag(FLAGS_audio_left_context), config));
  AudioLimits limits;
  limits.max_bytes = options.max_media_bytes;
  return ServeEncoder<AudioEncoder>(
      options,
      [&](const Checkpoint& checkpoint,
          Backend* backend) -> absl::StatusOr<std::unique_ptr<AudioEncoder>> {
        FACET_ASSIGN_OR_RETURN(auto tower,
                               AudioTower::Load(config, checkpoint, options.mode(), backend));
        return std::make_unique<AudioEncoder>(std::move(tower), limits, options.row_type());
      });
}

}  // namespace
}  // namespace facet

int main(int argc, char** argv) {
  facet::ParseFlags(argc, argv,
                    "Serves facet.internal.AudioEncoder: sound to the soft tokens of a Gemma 4 "
                    "model.");
  const facet::EncoderOptions options = facet::OptionsFromFlags();
  if (const absl::Status valid = options.Validate(); !valid.ok()) {
    std::fprintf(stderr, "audio_main: %s\n", std::string(valid.message()).c_str());
    return 2;
  }
  FACET_LOG(Info) << facet::EffectiveFlags();
  const absl::StatusOr<int> exit_status = facet::Serve(options);
  if (!exit_status.ok()) {
    FACET_LOG(Error) << "the audio encoder cannot start: " << exit_status.status();
    return 1;
  }
  return *exit_status;
}
