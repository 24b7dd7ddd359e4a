#include "services/shard/rank_process.h"

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/status_macros.h"
#include "kernels/cpu/cpu_backend.h"
#include "services/serving/build_info.h"
#include "services/shard/engine_service.h"
#include "shard/group/follower_loop.h"
#include "shard/group/leader_engine.h"
#include "shard/group/rank_step_model.h"
#include "shard/transformer/rank_model.h"

namespace facet {
namespace {

// A rank that has joined and loaded.
struct LoadedRank {
  GroupHandle group;
  std::unique_ptr<CpuBackend> backend;
  std::unique_ptr<RankModel> model;
};

RankIdentity IdentityOf(const RankSetup& setup, const ProcessOptions& options) {
  RankIdentity out;
  out.rank = setup.options.rank;
  out.world_size = setup.options.world_size;
  out.fingerprint = setup.checkpoint->Fingerprint();
  out.settings = SharedSettings(setup, options.rank.max_running);
  out.build = BuildId();
  return out;
}

// Loads this rank's slice and waits for the others to have loaded theirs.
absl::Status Load(const RankSetup& setup, const ProcessOptions& options, LoadedRank& rank) {
  const absl::Time start = absl::Now();
  FACET_ASSIGN_OR_RETURN(rank.backend, CpuBackend::Create({.threads = options.threads,
                                                           .max_level = options.max_kernel_level}));
  FACET_ASSIGN_OR_RETURN(rank.model,
                         RankModel::Load(setup.config, *setup.checkpoint, setup.options,
                                         rank.backend.get(), rank.group.collective.get()));
  FACET_LOG(Info) << "loaded " << FormatBytes(rank.model->weight_bytes()) << " of weights and "
                  << FormatBytes(rank.model->kv_bytes()) << " of KV pages in "
                  << absl::FormatDuration(absl::Now() - start) << "; kernels "
                  << rank.backend->level() << ", exchange by " << rank.group.transport;
  // Ranks load at different speeds: that is no hang.
  rank.group.collective->set_timeout(options.group.join_timeout);
  FACET_RETURN_IF_ERROR(rank.group.collective->Barrier());
  rank.group.collective->set_timeout(options.group.collective_timeout);
  return absl::OkStatus();
}

LeaderEngine::Options EngineOptions(const RankSetup& setup, const ProcessOptions& options,
                                    ServerShell* shell) {
  LeaderEngine::Options out;
  out.scheduler.max_step_tokens = setup.options.max_step_tokens;
  out.scheduler.max_running_sequences = options.rank.max_running;
  out.scheduler.max_queue = options.max_queue;
  out.scheduler.page_tokens = setup.options.page_tokens;
  out.scheduler.global_pages = setup.options.global_pages;
  out.scheduler.sliding_pages = setup.options.sliding_pages;
  out.scheduler.sliding_window = setup.config.sliding_window;
  out.scheduler.max_context = setup.max_context;
  out.vocab_size = setup.config.vocab_size;
  out.step_timeout = options.step_timeout;
  out.heartbeat = std::min(absl::Seconds(1), options.group.collective_timeout / 4);
  out.on_failure = [shell](const absl::Status& reason) { shell->Fail(reason); };
  return out;
}

internal::EngineInfo InfoOf(const RankSetup& setup, const ProcessOptions& options) {
  internal::EngineInfo info;
  info.set_model_name(options.model_name);
  info.set_model_type(setup.config.model_type);
  info.set_fingerprint(setup.checkpoint->Fingerprint());
  info.set_vocab_size(setup.config.vocab_size);
  info.set_context_length(setup.max_context);
  info.set_world_size(setup.options.world_size);
  info.set_dtype(options.rank.dtype);
  return info;
}

absl::StatusOr<int> RunLeader(const RankSetup& setup, const ProcessOptions& options,
                              ServerShell& shell) {
  StepMetrics step_metrics(shell.registry());
  EngineMetrics engine_metrics(shell.registry());
  GroupLeader leader(options.group);
  EngineService service;
  std::mutex mutex;
  LeaderEngine* running = nullptr;
  shell.OnDrain([&](absl::Time) {
    std::lock_guard<std::mutex> lock(mutex);
    if (running != nullptr) running->Drain();
  });
  shell.OnAbort([&] {
    std::lock_guard<std::mutex> lock(mutex);
    if (running == nullptr) return;
    running->Drain();
    running->AbortRequests(absl::UnavailableError("the shard group is stopping"));
  });
  FACET_RETURN_IF_ERROR(shell.Start({leader.service(), &service}));
  LoadedRank rank;
  FACET_ASSIGN_OR_RETURN(rank.group, leader.Assemble());
  FACET_RETURN_IF_ERROR(Load(setup, options, rank));
  RankStepModel model(rank.model.get());
  FACET_ASSIGN_OR_RETURN(
      const std::unique_ptr<LeaderEngine> engine,
      LeaderEngine::Start(EngineOptions(setup, options, &shell), &model,
                          rank.group.collective.get(), &step_metrics, &engine_metrics));
  {
    std::lock_guard<std::mutex> lock(mutex);
    running = engine.get();
  }
  service.Open(engine.get(), InfoOf(setup, options));
  step_metrics.SetReady(true);
  shell.SetServing(true);
  FACET_LOG(Info) << "the group is ready on port " << shell.grpc_port() << ": context of "
                  << setup.max_context << " tokens";
  const int exit_status = shell.Wait();
  {
    std::lock_guard<std::mutex> lock(mutex);
    running = nullptr;
  }
  return engine->Stop().ok() ? exit_status : 1;
}

// The follower's loop on a thread of its own, since the main one waits for signals.
class FollowerThread {
 public:
  FollowerThread(LoadedRank& rank, StepMetrics& metrics, ServerShell& shell)
      : rank_(rank), model_(rank.model.get()), thread_([this, &metrics, &shell] {
          const absl::Status status = RunFollower(&model_, rank_.group.collective.get(), &metrics);
          metrics.SetReady(false);
          {
            std::lock_guard<std::mutex> lock(mutex_);
            result_ = status;
          }
          ended_.notify_all();
          if (status.ok()) {
            shell.RequestStop();
          } else {
            shell.Fail(status);
          }
        }) {}

  // A signal may reach a follower before its leader: it works on until the leader says stop, at
  // most for `patience`.
  absl::Status Finish(absl::Duration patience) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      ended_.wait_for(lock, absl::ToChronoNanoseconds(patience),
                      [this] { return result_.has_value(); });
      if (!result_) {
        lock.unlock();
        rank_.group.collective->Abort(absl::UnavailableError("this rank was told to stop"));
      }
    }
    thread_.join();
    return *result_;
  }

 private:
  LoadedRank& rank_;
  RankStepModel model_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<absl::Status> result_;
  std::thread thread_;
};

absl::StatusOr<int> RunFollowerRank(const RankSetup& setup, const ProcessOptions& options,
                                    ServerShell& shell) {
  StepMetrics step_metrics(shell.registry());
  FACET_RETURN_IF_ERROR(shell.Start({}));
  LoadedRank rank;
  FACET_ASSIGN_OR_RETURN(rank.group, JoinGroup(options.group));
  FACET_RETURN_IF_ERROR(Load(setup, options, rank));
  FollowerThread follower(rank, step_metrics, shell);
  step_metrics.SetReady(true);
  shell.SetServing(true);
  FACET_LOG(Info) << "rank " << setup.options.rank << " follows";
  const int exit_status = shell.Wait();
  const absl::Status status =
      follower.Finish(exit_status == 0 ? options.shell.grace_period : absl::ZeroDuration());
  return status.ok() ? exit_status : 1;
}

std::string FolderName(const std::string& model_dir) {
  std::filesystem::path path(model_dir);
  if (!path.has_filename()) path = path.parent_path();
  return path.filename().string();
}

}  // namespace

absl::StatusOr<int> RunRank(ProcessOptions options) {
  FACET_ASSIGN_OR_RETURN(const RankSetup setup, PrepareRank(options.rank));
  FACET_LOG(Info) << "memory plan\n" << FormatMemoryPlan(setup.memory);
  FACET_RETURN_IF_ERROR(CheckFits(setup.memory, options.rank.memory_limit != 0
                                                    ? options.rank.memory_limit
                                                    : AvailableMemory()));
  if (options.model_name.empty()) options.model_name = FolderName(options.rank.model_dir);
  options.group.identity = IdentityOf(setup, options);
  options.group.threads_per_rank = options.threads != 0 ? options.threads : 1;
  FACET_RETURN_IF_ERROR(options.group.Validate());
  const bool leads = setup.options.rank == 0;
  if (leads) options.shell.services = {internal::ShardEngine::service_full_name()};
  FACET_ASSIGN_OR_RETURN(const std::unique_ptr<ServerShell> shell,
                         ServerShell::Create(options.shell));
  return leads ? RunLeader(setup, options, *shell) : RunFollowerRank(setup, options, *shell);
}

}  // namespace facet
