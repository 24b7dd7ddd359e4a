#ifndef FACET_SHARD_GROUP_LEADER_ENGINE_H_
#define FACET_SHARD_GROUP_LEADER_ENGINE_H_

// The leader of a shard group at work: takes requests, decides steps, has all ranks execute them,
// samples, and hands the tokens out. Knows nothing of gRPC; services/shard/ puts it on the wire.
//
//   auto engine = LeaderEngine::Start(options, &model, &collective, &step_metrics, &metrics);
//   auto connection = engine->Connect([] { wake the writer });
//   engine->Submit(connection, /*id=*/1, std::move(request));
//   ... connection->Take() ...
//   engine->Disconnect(connection);   // cancels what is left
//   engine->Stop();                   // tells the followers, ends the loop
//
// Threads. One loop thread runs the steps; a second one watches over their duration. Every public
//   method is thread-safe and returns without waiting for a step (Stop excepted).
// Between two steps the loop takes the cancellations and the requests that have come in, in this
//   order, so a cancelled request holds no pages in the step after.
// Failure. When a step fails, the collective breaks, or a step lasts longer than `step_timeout`,
//   the group is lost: every request, running or waiting, ends with Unavailable, naming the cause,
//   later ones too; the collective is aborted, and `on_failure` is called once. An engine never
//   recovers.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shard/collective/collective.h"
#include "shard/group/engine_connection.h"
#include "shard/group/metrics.h"
#include "shard/group/plan_channel.h"
#include "shard/group/step_model.h"
#include "shard/sampling/sampler.h"
#include "shard/sampling/sampling_params.h"
#include "shard/sampling/stop_checker.h"
#include "shard/sampling/token_counts.h"
#include "shard/scheduler/scheduler.h"

namespace facet {

struct EngineRequest {
  std::string request_id;  // for messages
  std::vector<int32_t> prompt;
  SamplingParams sampling;
  StopConditions stopping;
  int priority = 0;
  // From Submit on, in the queue and while running; then it ends with DeadlineExceeded.
  absl::Duration timeout = absl::InfiniteDuration();
};

class LeaderEngine {
 public:
  struct Options {
    // `max_queue` counts requests beyond `max_running_sequences`: with as many as both together in
    // the engine, the next one is refused.
    Scheduler::Options scheduler;
    int vocab_size = 0;
    // A step that lasts longer is taken for hung.
    absl::Duration step_timeout = absl::Minutes(2);
    // Of an idle group: how often the followers are told that the leader is there, and it learns
    // that they are. Less than the collective's timeout.
    absl::Duration heartbeat = absl::Seconds(1);
    // Of one connection; see EngineConnection.
    int max_buffered_outputs = 65536;
    std::function<void(const absl::Status&)> on_failure;

    absl::Status Validate() const;
  };

  // All pointers are borrowed and must outlive the engine. InvalidArgument on bad options.
  static absl::StatusOr<std::unique_ptr<LeaderEngine>> Start(const Options& options,
                                                             StepModel* model,
                                                             Collective* collective,
                                                             StepMetrics* step_metrics,
                                                             EngineMetrics* metrics);
  // Stop(), then waits for the threads: for ever, if a step hangs. Every connection must have been
  // disconnected, and no other call be under way.
  ~LeaderEngine();
  LeaderEngine(const LeaderEngine&) = delete;
  LeaderEngine& operator=(const LeaderEngine&) = delete;

  // A new reader. Closed at once if the engine drains or has failed.
  std::shared_ptr<EngineConnection> Connect(std::function<void()> on_news);

  // Cancels all its requests; no on_news call any more once this has returned.
  void Disconnect(const std::shared_ptr<EngineConnection>& connection);

  // Everything that becomes of the request comes out of the connection, a refusal too:
  //   InvalidArgument    a field, with its value and limit; or prompt and context with both numbers
  //   ResourceExhausted  the queue is full; with RetryAfter
  //   DeadlineExceeded   `timeout` is over
  //   Unavailable        draining, stopped, or the group was lost
  // An `id` that is open on this connection closes the connection with InvalidArgument.
  void Submit(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
              EngineRequest request);

  // Ends a request with kCancelled. No effect if none of this id is open.
  void Cancel(const std::shared_ptr<EngineConnection>& connection, uint64_t id);

  // Admits nothing from now on. A connection is closed (Unavailable) when its requests have ended.
  void Drain();

  // No request is waiting or running.
  bool idle() const;

  // Ends every request with `reason` now. They leave the scheduler before the next step.
  void AbortRequests(const absl::Status& reason);

  // Aborts what is left, sends the followers the stop, ends the loop. Waits for the step in flight.
  // The failure, if the engine had failed, or the stop did not reach every rank. Idempotent.
  absl::Status Stop();

  // OK, or why the group was lost.
  absl::Status failure() const;

 private:
  // One request from Submit to its finish.
  struct Live {
    std::shared_ptr<EngineConnection> connection;
    uint64_t id = 0;
    absl::Time arrival;
    std::optional<absl::Time> started;  // when it was planned first
    int prompt_tokens = 0;
    int generated = 0;
    SamplingParams sampling;
    std::optional<StopChecker> stop;
    bool counts_tokens = false;  // a penalty is on
    TokenCounts counts;
    bool ended = false;  // its finish is out; what the scheduler still holds goes at the next step
  };
  struct Submission {
    int64_t sequence_id = 0;
    SequenceRequest request;
  };
  using Outputs = std::map<std::shared_ptr<EngineConnection>, std::vector<EngineOutput>>;

  LeaderEngine(const Options& options, std::unique_ptr<Scheduler> scheduler, StepModel* model,
               Collective* collective, StepMetrics* step_metrics, EngineMetrics* metrics);

  absl::Status CheckRequest(const EngineRequest& request) const;
  absl::Status CheckAdmissionLocked() const;
  absl::Status Admit(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
                     EngineRequest request);

  // The loop thread.
  void RunLoop();
  bool WaitForWork();
  void TakeCancellations();
  void TakeSubmissions();
  absl::Status RunStep();
  absl::Status SendIdle(const StepPlan& plan);
  absl::Status Execute(const StepPlan& plan);
  void NoteStarts(const StepPlan& plan);
  absl::Status SampleRows(const Tensor& logits, Outputs& outputs);
  NewToken SampleRow(int64_t sequence_id, absl::Span<const float> logits, Outputs& outputs);
  void ReportExpired();
  void UpdateMetrics();
  void SendStop();

  // Valid on the loop thread until it calls Forget.
  Live* FindLive(int64_t sequence_id);
  // Ends a request that the scheduler no longer holds, and drops it.
  void Forget(int64_t sequence_id, std::vector<SampledToken> tokens, FinishReason reason,
              const absl::Status& status, Outputs& outputs);

  // Any thread.
  // The finish of a request that is not `ended` yet; marks it.
  EngineOutput EndLocked(Live& live, FinishReason reason, const absl::Status& status);
  // Ends those of one connection (null: of all); the loop then takes them from the scheduler.
  Outputs EndRequestsLocked(const EngineConnection* connection, FinishReason reason,
                            const absl::Status& status);
  void PushAll(Outputs outputs);
  void CloseDrainedConnections();
  void FailGroup(const absl::Status& reason);
  void WatchSteps();

  const Options options_;
  const std::unique_ptr<Scheduler> scheduler_;  // the loop thread's
  StepModel* const model_;
  Collective* const collective_;
  StepMetrics* const step_metrics_;
  EngineMetrics* const metrics_;
  PlanChannel channel_;   // the loop thread's
  Sampler sampler_;       // the loop thread's
  absl::Time last_sent_;  // the loop thread's: when the followers last heard a plan

  mutable std::mutex mutex_;
  std::condition_variable work_;     // the loop waits for it
  std::condition_variable stopped_;  // the watch and Stop wait for it
  int64_t next_sequence_ = 1;
  std::deque<Submission> submissions_;
  std::vector<int64_t> cancellations_;  // sequence ids
  // Entries are added by Submit and erased by the loop thread only. Of an entry, the loop thread
  // alone uses all but connection, id, arrival, started and ended.
  std::map<int64_t, std::unique_ptr<Live>> live_;
  std::map<std::pair<const EngineConnection*, uint64_t>, int64_t> sequence_of_;
  std::vector<std::weak_ptr<EngineConnection>> connections_;
  bool draining_ = false;
  bool stop_requested_ = false;
  bool loop_ended_ = false;
  absl::Status failure_;
  absl::Status stop_status_;
  absl::Duration recent_queue_time_ = absl::Seconds(1);
  std::optional<absl::Time> step_started_;

  std::mutex join_mutex_;
  std::thread loop_;
  std::thread watch_;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_LEADER_ENGINE_H_
