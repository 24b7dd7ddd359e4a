#ifndef FACET_SHARD_GROUP_STEP_LOOP_H_
#define FACET_SHARD_GROUP_STEP_LOOP_H_

// The leader's steps, one after the other, and all that is done beside them.
//
// Two threads. The loop thread does what stands between two steps and cannot wait (sample, commit,
// plan, tell the followers) and then computes the leader's own part. While it computes, the side
// thread hands the outputs of the step before to their readers, tells the scheduler of new and
// cancelled requests, computes the masks of grammars, and has it plan ahead. So writing to streams
// costs no step any time, and what a client sees of a step comes when the next one is under way.
//
// Whoever works on scheduler, sampler and live requests holds `step_mutex_` ("holds the step"): the
// loop thread between two steps, the side thread now and then during one.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "shard/collective/collective.h"
#include "shard/group/metrics.h"
#include "shard/group/plan_channel.h"
#include "shard/group/request_desk.h"
#include "shard/group/step_model.h"
#include "shard/group/step_sampler.h"
#include "shard/group/step_watch.h"
#include "shard/scheduler/scheduler.h"

namespace facet {

class StepLoop {
 public:
  struct Options {
    int vocab_size = 0;
    int sampling_threads = 1;
    absl::Duration heartbeat = absl::Seconds(1);  // of an idle group
  };
  // Borrowed; all outlive the loop.
  struct Parts {
    RequestDesk* desk = nullptr;
    StepModel* model = nullptr;
    Collective* collective = nullptr;
    StepWatch* watch = nullptr;
    StepMetrics* step_metrics = nullptr;
    EngineMetrics* metrics = nullptr;
  };

  // `on_failed`: a step or the collective failed; the loop has ended. `on_stopped`: it has ended as
  // asked, with what became of telling the followers. One of them is called, on the loop thread.
  StepLoop(const Options& options, std::unique_ptr<Scheduler> scheduler, const Parts& parts,
           std::function<void(const absl::Status&)> on_failed,
           std::function<void(const absl::Status&)> on_stopped);
  // Waits for both threads: for ever, if a step hangs. RequestStop or Abandon came before.
  ~StepLoop();

  void Start();
  // The desk has changes.
  void Wake();
  // Ends after the step in flight, and tells the followers.
  void RequestStop();
  // Ends as soon as it can, and tells nobody: the group is lost.
  void Abandon();
  // Waits until what the loop has handed over by now is with its readers; a second at most.
  void Flush();
  // Every output is with its reader.
  bool all_delivered() const;

 private:
  enum class State { kRunning, kStopping, kAbandoned };

  // The loop thread.
  void Run();
  bool WaitForWork(bool idle);
  absl::Status RunStep(bool* idle);
  StepPlan Plan();
  absl::Status BeIdle(const StepPlan& plan);
  absl::Status Execute(const StepPlan& plan);
  absl::Status TakeTokens(const Tensor& logits);
  void HandOver();
  absl::Status SendStop();
  bool abandoned() const;

  // The side thread.
  void RunBeside();
  void DeliverHandedOver(std::unique_lock<std::mutex>& lock);
  void PrepareNextStep();

  // With step_mutex_ held.
  void ApplyChanges(EngineOutputs* outputs);
  void FillMasks();
  void UpdateMetrics();

  const Options options_;
  const Parts parts_;
  const std::function<void(const absl::Status&)> on_failed_;
  const std::function<void(const absl::Status&)> on_stopped_;

  std::mutex step_mutex_;  // taken before mutex_ and the desk's
  const std::unique_ptr<Scheduler> scheduler_;
  StepSampler sampler_;

  // The loop thread's.
  PlanChannel channel_;
  EngineOutputs outputs_;               // not handed over yet
  absl::Time last_sent_;                // when the followers last heard a plan
  std::optional<absl::Time> computed_;  // when the last step was, unless there was a pause
  bool owes_outputs_ = false;           // outputs_ is counted in undelivered_

  mutable std::mutex mutex_;
  std::condition_variable news_;  // for both threads, and for Flush
  State state_ = State::kRunning;
  bool changed_ = false;    // the desk has changes
  bool computing_ = false;  // a step is under way: the side thread may hold it
  bool plan_ahead_due_ = false;
  bool loop_ended_ = false;
  std::optional<EngineOutputs> handed_over_;
  int undelivered_ = 0;  // batches of outputs, from the first of their outputs on

  std::thread loop_;
  std::thread side_;
};

}  // namespace facet

#endif  // FACET_SHARD_GROUP_STEP_LOOP_H_
