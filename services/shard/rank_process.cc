#include "services/shard/rank_process.h"

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "kernels/cpu/cpu_backend.h"
#include "services/serving/build_info.h"
#include "services/serving/server_shell.h"
#include "services/shard/kernel_info.h"
#include "services/shard/leader_grammars.h"
#include "services/shard/rank_setup.h"
#include "services/shard/shard_service.h"
#include "shard/group/bootstrap.h"
#include "shard/group/follower_loop.h"
#include "shard/group/leader_engine.h"
#include "shard/group/metrics.h"
#include "shard/group/rank_step_model.h"
#include "shard/transformer/rank_model.h"

namespace facet {
namespace {

// The parts of a rank that are there once it has loaded. Destroyed from the bottom up.
struct LoadedRank {
  std::unique_ptr<CpuBackend> backend;
  std::unique_ptr<RankModel> model;
};

absl::StatusOr<std::unique_ptr<ServerShell>> MakeShell(const ShardOptions& options) {
  ServerShellOptions shell;
  shell.listen = options.listen;
  shell.metrics_listen = options.metrics;
  shell.port_file = options.port_file;
  shell.grace_period = options.grace_period;
  shell.drain_delay = options.drain_delay;
  shell.max_receive_message_bytes = static_cast<int>(options.max_request_bytes);
  if (options.rank == 0) shell.services = {internal::ShardEngine::service_full_name()};
  return ServerShell::Create(shell);
}

absl::Status CheckMemory(const ShardOptions& options, const RankSetup& setup) {
  FACET_LOG(Info) << "memory of rank " << options.rank << ":\n" << FormatMemoryPlan(setup.plan);
  FACET_LOG(Info) << "context length " << setup.context_length << " tokens; KV pages of "
                  << setup.rank.page_tokens << " tokens: " << setup.rank.global_pages << " global, "
                  << setup.rank.sliding_pages << " sliding";
  const int64_t limit = options.memory_limit > 0 ? options.memory_limit : AvailableMemoryBytes();
  if (limit == 0) return absl::OkStatus();  // the system does not say
  return CheckFits(setup.plan, limit);
}

absl::StatusOr<LoadedRank> LoadWeights(const ShardOptions& options, const RankSetup& setup,
                                       Collective* collective) {
  const absl::Time start = absl::Now();
  LoadedRank rank;
  CpuOptions cpu;
  cpu.threads = options.threads;
  FACET_ASSIGN_OR_RETURN(rank.backend, CpuBackend::Create(cpu));
  FACET_ASSIGN_OR_RETURN(rank.model, RankModel::Load(setup.config, *setup.checkpoint, setup.rank,
                                                     rank.backend.get(), collective));
  FACET_LOG(Info) << "loaded " << FormatBytes(rank.model->weight_bytes()) << " of weights in "
                  << absl::FormatDuration(absl::Trunc(absl::Now() - start, absl::Milliseconds(1)))
                  << "; kernels: " << rank.backend->level();
  return rank;
}

// Loads this rank and waits until all have. A rank that cannot load takes the others along at once.
absl::StatusOr<LoadedRank> LoadTogether(const ShardOptions& options, const RankSetup& setup,
                                        Collective* collective) {
  absl::StatusOr<LoadedRank> rank = LoadWeights(options, setup, collective);
  if (!rank.ok()) {
    collective->Abort(rank.status());
    return rank;
  }
  collective->set_timeout(options.load_timeout);
  FACET_RETURN_IF_ERROR(TestCollective(*collective));
  collective->set_timeout(options.collective_timeout);
  return rank;
}

internal::EngineInfo MakeEngineInfo(const ShardOptions& options, const RankSetup& setup) {
  internal::EngineInfo info;
  info.set_model_name(setup.model_name);
  info.set_model_type(setup.config.model_type);
  info.set_fingerprint(setup.checkpoint->Fingerprint());
  info.set_vocab_size(setup.config.vocab_size);
  info.set_context_length(setup.context_length);
  info.set_world_size(options.world_size);
  info.set_dtype(options.dtype);
  info.set_kv_dtype(Name(options.kv_type()));
  const int64_t page_tokens = setup.rank.page_tokens;
  info.set_global_kv_tokens(setup.rank.global_pages * page_tokens);
  info.set_sliding_kv_tokens(setup.rank.sliding_pages * page_tokens);
  const MediaLimits media = MakeMediaLimits(options, setup.config);
  info.set_hidden_size(media.hidden_size);
  info.set_takes_images(media.image_token_id.has_value());
  info.set_takes_video(media.video_token_id.has_value());
  info.set_takes_audio(media.audio_token_id.has_value());
  info.set_max_image_tokens(media.has_blocks ? media.max_block_tokens : setup.context_length);
  info.set_max_request_bytes(options.max_request_bytes);
  info.set_max_media_bytes(media.max_bytes);
  return info;
}

LeaderEngine::Options MakeEngineOptions(const ShardOptions& options, const RankSetup& setup,
                                        ServerShell* shell) {
  LeaderEngine::Options engine;
  engine.scheduler = MakeSchedulerOptions(options, setup);
  engine.scheduler.enable_prefix_cache = options.prefix_cache;
  engine.vocab_size = setup.config.vocab_size;
  engine.media = MakeMediaLimits(options, setup.config);
  engine.max_pause = options.max_pause;
  engine.step_timeout = options.step_timeout;
  engine.heartbeat = std::min(options.collective_timeout / 4, absl::Seconds(1));
  engine.on_failure = [shell](const absl::Status& reason) { shell->Fail(reason); };
  return engine;
}

// Ends a process whose start failed: with the news for those who ask, and status 1.
int EndFailedStart(ServerShell& shell, const absl::Status& reason) {
  shell.Fail(reason);
  return shell.Wait();
}

void ConnectDrain(ServerShell& shell, LeaderEngine* engine) {
  shell.OnDrain([engine](absl::Time) { engine->Drain(); });
  shell.DrainUntil([engine] { return engine->idle(); });
  shell.OnAbort([engine] {
    engine->AbortRequests(absl::UnavailableError("the shard group is shutting down"));
  });
}

// Steps 3 to 6 of rank 0; the ports are open.
int LeadGroup(const ShardOptions& options, const RankSetup& setup, GroupLeader& leader,
              ShardEngineService& service, ServerShell& shell, StepMetrics& step_metrics,
              EngineMetrics& engine_metrics) {
  absl::StatusOr<GroupHandle> group = leader.Assemble();
  if (!group.ok()) return EndFailedStart(shell, group.status());
  FACET_LOG(Info) << "the group of " << options.world_size
                  << " is complete; exchange: " << group->transport;
  Collective* const collective = group->collective.get();
  absl::StatusOr<LoadedRank> rank = LoadTogether(options, setup, collective);
  if (!rank.ok()) return EndFailedStart(shell, rank.status());
  ReportKernels(AttentionKernelsOf(setup.config, setup.rank.kv_dtype, rank->backend->level()),
                shell.registry());
  absl::StatusOr<std::unique_ptr<GrammarCompiler>> grammars =
      LoadGrammarCompiler(options.model, setup.config);
  if (!grammars.ok()) return EndFailedStart(shell, grammars.status());
  RankStepModel model(rank->model.get());
  LeaderEngine::Options engine_options = MakeEngineOptions(options, setup, &shell);
  engine_options.grammars = grammars->get();
  auto engine =
      LeaderEngine::Start(engine_options, &model, collective, &step_metrics, &engine_metrics);
  if (!engine.ok()) {
    collective->Abort(engine.status());
    return EndFailedStart(shell, engine.status());
  }
  ConnectDrain(shell, engine->get());
  service.SetEngine(engine->get(), MakeEngineInfo(options, setup));
  step_metrics.SetReady(true);
  shell.SetServing(true);
  FACET_LOG(Info) << "ready: " << setup.model_name << " on port " << shell.grpc_port();

  const int exit_status = shell.Wait();
  if (!(*engine)->failure().ok()) {
    // Its threads may hang in the step that failed: leave without them.
    std::_Exit(1);
  }
  step_metrics.SetReady(false);
  if (const absl::Status stopped = (*engine)->Stop(); !stopped.ok()) {
    FACET_LOG(Warning) << "the group did not stop in order: " << stopped;
  }
  return exit_status;
}

int RunLeader(const ShardOptions& options, const RankSetup& setup, ServerShell& shell) {
  GroupLeader leader(MakeBootstrapOptions(options, setup, BuildId()));
  ShardEngineService service;
  StepMetrics step_metrics(shell.registry());
  EngineMetrics engine_metrics(shell.registry());
  if (const absl::Status started = shell.Start({leader.service(), &service}); !started.ok()) {
    return EndFailedStart(shell, started);
  }
  return LeadGroup(options, setup, leader, service, shell, step_metrics, engine_metrics);
}

int RunOther(const ShardOptions& options, const RankSetup& setup, ServerShell& shell) {
  StepMetrics metrics(shell.registry());
  if (const absl::Status started = shell.Start({}); !started.ok()) {
    return EndFailedStart(shell, started);
  }
  absl::StatusOr<GroupHandle> group = JoinGroup(MakeBootstrapOptions(options, setup, BuildId()));
  if (!group.ok()) return EndFailedStart(shell, group.status());
  FACET_LOG(Info) << "joined the group of " << options.world_size
                  << "; exchange: " << group->transport;
  Collective* const collective = group->collective.get();
  absl::StatusOr<LoadedRank> rank = LoadTogether(options, setup, collective);
  if (!rank.ok()) return EndFailedStart(shell, rank.status());
  ReportKernels(AttentionKernelsOf(setup.config, setup.rank.kv_dtype, rank->backend->level()),
                shell.registry());

  RankStepModel model(rank->model.get());
  std::atomic<bool> ended{false};
  shell.DrainUntil([&ended] { return ended.load(); });
  metrics.SetReady(true);
  shell.SetServing(true);
  std::thread loop([&] {
    const absl::Status end = RunFollower(&model, collective, &metrics);
    metrics.SetReady(false);
    ended = true;
    if (end.ok()) {
      shell.RequestStop();
    } else {
      shell.Fail(end);
    }
  });
  FACET_LOG(Info) << "ready: rank " << options.rank << " of " << setup.model_name;
  const int exit_status = shell.Wait();
  if (!ended) {
    collective->Abort(absl::UnavailableError(
        absl::StrCat("rank ", options.rank, " was asked to stop, and its leader was not")));
  }
  loop.join();
  return exit_status;
}

}  // namespace

int RunRank(const ShardOptions& options) {
  absl::StatusOr<RankSetup> setup = PrepareRank(options);
  absl::Status status = setup.status();
  if (status.ok()) status = CheckMemory(options, *setup);
  if (!status.ok()) {
    FACET_LOG(Error) << "rank " << options.rank << " cannot start: " << status;
    return 1;
  }
  auto shell = MakeShell(options);
  if (!shell.ok()) {
    FACET_LOG(Error) << "rank " << options.rank << " cannot start: " << shell.status();
    return 1;
  }
  return options.rank == 0 ? RunLeader(options, *setup, **shell)
                           : RunOther(options, *setup, **shell);
}

}  // namespace facet
