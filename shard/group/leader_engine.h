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
// Parts. RequestDesk: the live requests and their readers. StepLoop: the steps, on a thread of
//   their own, and what is done beside them, on another. StepWatch: notices a step that hangs.
// Threads. Every public method is thread-safe and returns without waiting for a step (Stop
//   excepted).
// Cancellations and new requests reach the scheduler while a step runs, and before the next one is
//   planned, so a cancelled request holds no pages in the step after. The outputs of a step go out
//   once the next one is under way, or when there is none.
// Failure. When a step fails, the collective breaks, or a step lasts longer than `step_timeout`,
//   the group is lost: every request, running or waiting, ends with Unavailable, naming the cause,
//   later ones too; the collective is aborted, and `on_failure` is called once. An engine never
//   recovers.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "shard/collective/collective.h"
#include "shard/group/engine_connection.h"
#include "shard/group/engine_request.h"
#include "shard/group/grammar_queue.h"
#include "shard/group/metrics.h"
#include "shard/group/request_desk.h"
#include "shard/group/step_loop.h"
#include "shard/group/step_model.h"
#include "shard/group/step_watch.h"
#include "shard/scheduler/scheduler.h"

namespace facet {

class LeaderEngine {
 public:
  struct Options {
    // `max_queue` counts sequences (a request has n) beyond `max_running_sequences`: one that would
    // make the engine hold more than both together is refused. `max_queue_tokens` counts the
    // prompts that have not been started.
    Scheduler::Options scheduler;
    int vocab_size = 0;
    GrammarCompiler* grammars = nullptr;  // borrowed; null: requests with grammars are refused
    MediaLimits media;                    // max_block_tokens follows from `scheduler`
    // Of a request; then it ends with ResourceExhausted.
    absl::Duration max_pause = absl::Minutes(1);
    // A step that lasts longer is taken for hung.
    absl::Duration step_timeout = absl::Minutes(2);
    // Of an idle group: how often the followers are told that the leader is there, and it learns
    // that they are. Less than the collective's timeout.
    absl::Duration heartbeat = absl::Seconds(1);
    // Of one connection; see EngineConnection.
    int max_buffered_outputs = 65536;
    // Threads that sample a step's rows; 0: one a core, at most 16.
    int sampling_threads = 0;
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
  //   ResourceExhausted  the queue is full; with RetryAfter. Or the request was paused too long
  //   FailedPrecondition a grammar, and the engine has no compiler for it
  //   DeadlineExceeded   `timeout` is over
  //   Unavailable        draining, stopped, or the group was lost
  // A grammar is compiled while the request waits; it may take seconds, and a bad one ends its own
  // request only.
  // An error before the first token is one finish of all completions. An `id` that is open on this
  // connection closes the connection with InvalidArgument.
  void Submit(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
              EngineRequest request);

  // Ends a request, or its completion `index` alone, with kCancelled. No effect if it is not open.
  void Cancel(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
              std::optional<int> index = std::nullopt);

  // A paused request gets no steps, and keeps its place; a token of the step in flight still comes.
  // Its timeout goes on. No effect if it is not open.
  void SetPaused(const std::shared_ptr<EngineConnection>& connection, uint64_t id, bool paused);

  // Admits nothing from now on. A connection is closed (Unavailable) when its requests have ended.
  void Drain();

  // No request is waiting or running, and every output is with its reader.
  bool idle() const;

  // Ends every request with `reason` now. They leave the scheduler before the next step.
  void AbortRequests(const absl::Status& reason);

  // Aborts what is left, sends the followers the stop, ends the loop. Waits for the step in flight.
  // The failure, if the engine had failed, or the stop did not reach every rank. Idempotent.
  absl::Status Stop();

  // OK, or why the group was lost.
  absl::Status failure() const;

 private:
  LeaderEngine(const Options& options, std::unique_ptr<Scheduler> scheduler, StepModel* model,
               Collective* collective, StepMetrics* step_metrics, EngineMetrics* metrics);

  void FailGroup(const absl::Status& reason);
  void NoteStopped(const absl::Status& status);

  const std::function<void(const absl::Status&)> on_failure_;
  Collective* const collective_;
  StepMetrics* const step_metrics_;
  EngineMetrics* const metrics_;

  mutable std::mutex mutex_;
  std::condition_variable stopped_;
  bool loop_ended_ = false;
  absl::Status failure_;
  absl::Status stop_status_;

  std::unique_ptr<GrammarQueue> grammars_;
  RequestDesk desk_;
  std::unique_ptr<StepWatch> watch_;
  std::unique_ptr<StepLoop> loop_;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_LEADER_ENGINE_H_
