#ifndef FACET_SERVICES_ENCODER_ENCODER_PROCESS_H_
#define FACET_SERVICES_ENCODER_ENCODER_PROCESS_H_

// The process around an encoder: the same for vision and audio.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/dtype.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "kernels/cpu/cpu_backend.h"
#include "model/checkpoint.h"
#include "proto/facet/internal/encoder.pb.h"
#include "services/encoder/encode_pipeline.h"
#include "services/encoder/encoder_metrics.h"
#include "services/encoder/encoder_service.h"
#include "services/serving/server_shell.h"
#include "shard/transformer/rank_options.h"

namespace facet {

// Everything that an encoder can be told. The flags of the two main files fill it; their help says
// the rest.
struct EncoderOptions {
  std::string model;       // folder of the checkpoint
  std::string model_name;  // empty: the folder's name

  std::string listen = "0.0.0.0:50053";
  std::string metrics = "0.0.0.0:9090";
  std::string port_file;

  std::string dtype = "f32";  // "f32" or "bf16"
  int threads = 0;            // of the network; 0: one a core
  int decode_threads = 0;     // 0: one a core

  int64_t max_media_bytes = 64 << 20;
  int max_requests = 64;
  int64_t max_request_bytes = int64_t{1} << 30;
  int max_batch = 1;  // in the encoder's unit
  int64_t cache_bytes = 256 << 20;

  absl::Duration grace_period = absl::Seconds(30);
  absl::Duration drain_delay = absl::ZeroDuration();

  // InvalidArgument names the flag, its value and what is allowed.
  absl::Status Validate() const;

  // Of valid options.
  ComputeMode mode() const;
  DType row_type() const;  // of the soft tokens
};

namespace encoder_internal {

absl::StatusOr<std::unique_ptr<ServerShell>> MakeShell(const EncoderOptions& options,
                                                       const std::string& service);
internal::EncoderInfo MakeInfo(const EncoderOptions& options, const Checkpoint& checkpoint,
                               int hidden_size);
int CoresUnlessSet(int threads);
// Ends a process whose start failed: with the news for those who ask, and status 1.
int EndFailedStart(ServerShell& shell, const absl::Status& reason);

}  // namespace encoder_internal

// Opens the ports, loads, serves until the process is told to end. The exit status; an error if the
// ports or the checkpoint cannot be opened.
template <typename Encoder>
absl::StatusOr<int> ServeEncoder(
    const EncoderOptions& options,
    const std::function<absl::StatusOr<std::unique_ptr<Encoder>>(const Checkpoint&, Backend*)>&
        load) {
  FACET_ASSIGN_OR_RETURN(const std::unique_ptr<Checkpoint> checkpoint,
                         OpenCheckpoint(options.model));
  CpuOptions cpu;
  cpu.threads = options.threads;
  FACET_ASSIGN_OR_RETURN(const std::unique_ptr<CpuBackend> backend, CpuBackend::Create(cpu));
  FACET_ASSIGN_OR_RETURN(
      const std::unique_ptr<ServerShell> shell,
      encoder_internal::MakeShell(options, Encoder::Service::service_full_name()));
  EncoderMetrics metrics(shell->registry());
  EncoderService<Encoder> service;
  FACET_RETURN_IF_ERROR(shell->Start({&service}));

  absl::StatusOr<std::unique_ptr<Encoder>> encoder = load(*checkpoint, backend.get());
  if (!encoder.ok()) return encoder_internal::EndFailedStart(*shell, encoder.status());
  const internal::EncoderInfo info =
      encoder_internal::MakeInfo(options, *checkpoint, (*encoder)->hidden_size());
  typename EncodePipeline<Encoder>::Options pipeline_options;
  pipeline_options.decode_threads = encoder_internal::CoresUnlessSet(options.decode_threads);
  pipeline_options.max_requests = options.max_requests;
  pipeline_options.max_request_bytes = options.max_request_bytes;
  pipeline_options.max_batch_cost = options.max_batch;
  pipeline_options.cache_bytes = options.cache_bytes;
  EncodePipeline<Encoder> pipeline(*std::move(encoder), pipeline_options, &metrics);
  service.SetPipeline(&pipeline, info);
  shell->SetServing(true);
  FACET_LOG(Info) << "ready: " << info.model_name() << " on port " << shell->grpc_port()
                  << "; kernels: " << backend->level();
  return shell->Wait();
}

}  // namespace facet

#endif  // FACET_SERVICES_ENCODER_ENCODER_PROCESS_H_
