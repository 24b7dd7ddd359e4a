#include "shard/group/leader_engine.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "kernels/cpu/thread_pool.h"

namespace facet {
namespace {

constexpr int kMostSamplingThreads = 16;

absl::Status GroupLost(const absl::Status& reason) {
  return absl::UnavailableError(absl::StrCat("the shard group was lost: ", reason.message()));
}

absl::Status Draining() { return absl::UnavailableError("the shard group is draining"); }

absl::Status CheckPositive(const char* field, absl::Duration value) {
  if (value > absl::ZeroDuration()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", absl::FormatDuration(value), "; must be positive"));
}

absl::Status CheckAtLeast(const char* field, int value, int least) {
  if (value >= least) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(field, " is ", value, "; at least ", least));
}

RequestDesk::Options DeskOptions(const LeaderEngine::Options& options) {
  RequestDesk::Options desk;
  desk.limits.vocab_size = options.vocab_size;
  desk.limits.max_context = options.scheduler.max_context;
  desk.limits.media = options.media;
  desk.limits.media.max_block_tokens = options.scheduler.max_unsplit_tokens();
  desk.limits.max_completions =
      std::min(EngineRequest::kMaxCompletions,
               options.scheduler.max_queue + options.scheduler.max_running_sequences);
  desk.max_running = options.scheduler.max_running_sequences;
  desk.max_queue = options.scheduler.max_queue;
  desk.max_queue_tokens = options.scheduler.max_queue_tokens;
  desk.max_buffered_outputs = options.max_buffered_outputs;
  desk.max_pause = options.max_pause;
  if (options.scheduler.enable_prefix_cache) desk.page_tokens = options.scheduler.page_tokens;
  return desk;
}

// Requests pass through the scheduler's queue even when there is room to run: the desk keeps the
// bounds.
Scheduler::Options WithoutBounds(const LeaderEngine::Options& options) {
  Scheduler::Options scheduler = options.scheduler;
  scheduler.max_queue += scheduler.max_running_sequences;
  scheduler.max_queue_tokens = 1 << 30;
  return scheduler;
}

StepLoop::Options LoopOptions(const LeaderEngine::Options& options) {
  StepLoop::Options loop;
  loop.vocab_size = options.vocab_size;
  loop.heartbeat = options.heartbeat;
  loop.sampling_threads = options.sampling_threads > 0
                              ? options.sampling_threads
                              : std::min(AvailableCores(), kMostSamplingThreads);
  return loop;
}

}  // namespace

absl::Status LeaderEngine::Options::Validate() const {
  FACET_RETURN_IF_ERROR(scheduler.Validate());
  FACET_RETURN_IF_ERROR(CheckAtLeast("vocab_size", vocab_size, 1));
  FACET_RETURN_IF_ERROR(CheckPositive("max_pause", max_pause));
  FACET_RETURN_IF_ERROR(CheckPositive("step_timeout", step_timeout));
  FACET_RETURN_IF_ERROR(CheckPositive("heartbeat", heartbeat));
  FACET_RETURN_IF_ERROR(CheckAtLeast("max_buffered_outputs", max_buffered_outputs, 1));
  return CheckAtLeast("sampling_threads", sampling_threads, 0);
}

absl::StatusOr<std::unique_ptr<LeaderEngine>> LeaderEngine::Start(const Options& options,
                                                                  StepModel* model,
                                                                  Collective* collective,
                                                                  StepMetrics* step_metrics,
                                                                  EngineMetrics* metrics) {
  FACET_RETURN_IF_ERROR(options.Validate());
  FACET_ASSIGN_OR_RETURN(auto scheduler, Scheduler::Create(WithoutBounds(options)));
  return std::unique_ptr<LeaderEngine>(
      new LeaderEngine(options, std::move(scheduler), model, collective, step_metrics, metrics));
}

LeaderEngine::LeaderEngine(const Options& options, std::unique_ptr<Scheduler> scheduler,
                           StepModel* model, Collective* collective, StepMetrics* step_metrics,
                           EngineMetrics* metrics)
    : on_failure_(options.on_failure),
      collective_(collective),
      step_metrics_(step_metrics),
      metrics_(metrics),
      grammars_(std::make_unique<GrammarQueue>(options.grammars, metrics)),
      desk_(DeskOptions(options), metrics, grammars_.get(), [this] { loop_->Wake(); }) {
  metrics->SetPageTokens(options.scheduler.page_tokens);
  const auto fail = [this](const absl::Status& reason) { FailGroup(reason); };
  watch_ = std::make_unique<StepWatch>(options.step_timeout, fail);
  StepLoop::Parts parts;
  parts.desk = &desk_;
  parts.model = model;
  parts.collective = collective;
  parts.watch = watch_.get();
  parts.step_metrics = step_metrics;
  parts.metrics = metrics;
  loop_ = std::make_unique<StepLoop>(LoopOptions(options), std::move(scheduler), parts, fail,
                                     [this](const absl::Status& status) { NoteStopped(status); });
  loop_->Start();
}

LeaderEngine::~LeaderEngine() {
  Stop().IgnoreError();
  grammars_.reset();  // it may be busy with the desk and wake the loop
  watch_->Stop();     // it may be busy with the loop
  loop_.reset();
}

std::shared_ptr<EngineConnection> LeaderEngine::Connect(std::function<void()> on_news) {
  return desk_.Connect(std::move(on_news));
}

void LeaderEngine::Disconnect(const std::shared_ptr<EngineConnection>& connection) {
  desk_.Disconnect(connection);
}

void LeaderEngine::Submit(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
                          EngineRequest request) {
  desk_.Submit(connection, id, std::move(request));
}

void LeaderEngine::Cancel(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
                          std::optional<int> index) {
  desk_.Cancel(connection, id, index);
}

void LeaderEngine::SetPaused(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
                             bool paused) {
  desk_.SetPaused(connection, id, paused);
}

void LeaderEngine::Drain() {
  desk_.Refuse(Draining());
  desk_.CloseIdleConnections();
}

// In this order: what was live at first has become outputs by then, if anything.
bool LeaderEngine::idle() const { return desk_.idle() && loop_->all_delivered(); }

void LeaderEngine::AbortRequests(const absl::Status& reason) { desk_.EndAll(reason); }

absl::Status LeaderEngine::Stop() {
  desk_.Refuse(Draining());
  loop_->RequestStop();
  AbortRequests(absl::UnavailableError("the shard group is stopping"));
  desk_.CloseIdleConnections();
  std::unique_lock<std::mutex> lock(mutex_);
  stopped_.wait(lock, [this] { return loop_ended_ || !failure_.ok(); });
  return failure_.ok() ? stop_status_ : failure_;
}

absl::Status LeaderEngine::failure() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return failure_;
}

void LeaderEngine::FailGroup(const absl::Status& reason) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_.ok()) return;
    failure_ = reason;
  }
  FACET_LOG(Error) << "the group is lost: " << reason;
  metrics_->CountGroupError(reason);
  step_metrics_->SetReady(false);
  loop_->Abandon();
  collective_->Abort(reason);
  loop_->Flush();
  desk_.Fail(GroupLost(reason));
  stopped_.notify_all();
  if (on_failure_) on_failure_(reason);
}

void LeaderEngine::NoteStopped(const absl::Status& status) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    loop_ended_ = true;
    stop_status_ = status;
  }
  stopped_.notify_all();
}

}  // namespace facet
