#include "shard/group/step_loop.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "shard/group/follower_loop.h"

namespace facet {
namespace {

constexpr absl::Duration kLongestFlush = absl::Seconds(1);
constexpr absl::Duration kLongestWait = absl::Hours(1);  // what a condition variable can take

}  // namespace

StepLoop::StepLoop(const Options& options, std::unique_ptr<Scheduler> scheduler, const Parts& parts,
                   std::function<void(const absl::Status&)> on_failed,
                   std::function<void(const absl::Status&)> on_stopped)
    : options_(options),
      parts_(parts),
      on_failed_(std::move(on_failed)),
      on_stopped_(std::move(on_stopped)),
      scheduler_(std::move(scheduler)),
      sampler_(options.vocab_size, options.sampling_threads, parts.desk),
      channel_(parts.collective),
      last_sent_(absl::Now()) {
  UpdateMetrics();
}

StepLoop::~StepLoop() {
  if (loop_.joinable()) loop_.join();
  if (side_.joinable()) side_.join();
}

void StepLoop::Start() {
  loop_ = std::thread([this] { Run(); });
  side_ = std::thread([this] { RunBeside(); });
}

void StepLoop::Wake() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    changed_ = true;
  }
  news_.notify_all();
}

void StepLoop::RequestStop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (state_ == State::kRunning) state_ = State::kStopping;
  }
  news_.notify_all();
}

void StepLoop::Abandon() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    state_ = State::kAbandoned;
  }
  news_.notify_all();
}

bool StepLoop::abandoned() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return state_ == State::kAbandoned;
}

void StepLoop::Flush() {
  std::unique_lock<std::mutex> lock(mutex_);
  news_.wait_for(lock, absl::ToChronoNanoseconds(kLongestFlush),
                 [this] { return !handed_over_ && undelivered_ <= (owes_outputs_ ? 1 : 0); });
}

bool StepLoop::all_delivered() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return undelivered_ == 0;
}

// ---- The loop thread.

void StepLoop::Run() {
  bool idle = true;
  absl::Status failure;
  while (failure.ok() && WaitForWork(idle)) failure = RunStep(&idle);
  HandOver();
  Flush();
  absl::Status stopped;
  if (failure.ok() && !abandoned()) stopped = SendStop();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    loop_ended_ = true;
  }
  news_.notify_all();
  if (failure.ok()) {
    on_stopped_(stopped);
  } else {
    on_failed_(failure);
  }
}

// False when the loop should end. When the last plan was idle, returns only if something may have
// changed that: a request, a cancellation, a pause or a deadline that is over; or a heartbeat is
// due.
bool StepLoop::WaitForWork(bool idle) {
  absl::Duration longest = absl::ZeroDuration();
  if (idle) {
    const absl::Time now = absl::Now();
    longest = std::clamp(parts_.desk->NextExpiry() - now, absl::ZeroDuration(), kLongestWait);
    if (parts_.collective->world_size() > 1) {
      longest = std::min(longest, last_sent_ + options_.heartbeat - now);
    }
  }
  std::unique_lock<std::mutex> lock(mutex_);
  if (longest > absl::ZeroDuration()) {
    news_.wait_for(lock, absl::ToChronoNanoseconds(longest),
                   [this] { return changed_ || state_ != State::kRunning; });
  }
  return state_ == State::kRunning;
}

absl::Status StepLoop::RunStep(bool* idle) {
  StepPlan plan = Plan();
  *idle = plan.kind == StepPlan::Kind::kIdle;
  if (*idle) return BeIdle(plan);
  parts_.watch->Begin();
  const absl::Status status = Execute(plan);
  parts_.watch->End();
  std::lock_guard<std::mutex> step(step_mutex_);
  scheduler_->Recycle(std::move(plan));
  return status;
}

StepPlan StepLoop::Plan() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!owes_outputs_) ++undelivered_;
    owes_outputs_ = true;
  }
  std::lock_guard<std::mutex> step(step_mutex_);
  parts_.desk->EndLongPauses(absl::Now());
  ApplyChanges(&outputs_);
  StepPlan plan = scheduler_->Next(absl::Now());
  parts_.desk->NoteStarted(scheduler_->TakeStarted(), &outputs_);
  for (const int64_t sequence : scheduler_->TakeExpired()) {
    parts_.desk->Drop(sequence, absl::DeadlineExceededError("the request's timeout is over"),
                      &outputs_);
  }
  return plan;
}

absl::Status StepLoop::BeIdle(const StepPlan& plan) {
  computed_.reset();
  {
    std::lock_guard<std::mutex> step(step_mutex_);
    UpdateMetrics();
  }
  HandOver();
  const absl::Time now = absl::Now();
  if (now - last_sent_ < options_.heartbeat) return absl::OkStatus();
  last_sent_ = now;
  return channel_.Send(plan);
}

absl::Status StepLoop::Execute(const StepPlan& plan) {
  last_sent_ = absl::Now();
  FACET_RETURN_IF_ERROR(channel_.Send(plan));
  HandOver();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    computing_ = true;
    plan_ahead_due_ = true;
  }
  news_.notify_all();
  const absl::Time start = absl::Now();
  if (computed_.has_value()) parts_.metrics->ObserveHost(start - *computed_);
  const absl::StatusOr<Tensor> logits = parts_.model->Forward(plan);
  const absl::Time end = absl::Now();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    computing_ = false;
    if (state_ == State::kAbandoned) return absl::OkStatus();
    ++undelivered_;
    owes_outputs_ = true;
  }
  FACET_RETURN_IF_ERROR(logits.status());
  computed_ = end;
  parts_.step_metrics->ObserveStep(PhaseOf(plan), end - start, parts_.model->timings());
  return TakeTokens(*logits);
}

absl::Status StepLoop::TakeTokens(const Tensor& logits) {
  const absl::Time start = absl::Now();
  std::lock_guard<std::mutex> step(step_mutex_);
  FACET_ASSIGN_OR_RETURN(const std::vector<NewToken> tokens,
                         sampler_.Sample(logits, scheduler_->rows(), &outputs_));
  scheduler_->Commit(tokens);
  parts_.metrics->CountGenerated(static_cast<int>(tokens.size()));
  parts_.metrics->ObserveSampling(absl::Now() - start);
  return absl::OkStatus();
}

// To the side thread. Waits if that is a whole step behind.
void StepLoop::HandOver() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (!owes_outputs_) return;
  news_.wait(lock, [this] { return !handed_over_; });
  handed_over_ = std::exchange(outputs_, {});
  owes_outputs_ = false;
  news_.notify_all();
}

absl::Status StepLoop::SendStop() {
  StepPlan plan;
  plan.kind = StepPlan::Kind::kStop;
  absl::Status status = channel_.Send(plan);
  if (!status.ok()) FACET_LOG(Warning) << "not every rank heard the stop: " << status;
  return status;
}

// ---- The side thread.

void StepLoop::RunBeside() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    news_.wait(lock, [this] {
      return handed_over_ || loop_ended_ || (computing_ && (changed_ || plan_ahead_due_));
    });
    if (handed_over_) {
      DeliverHandedOver(lock);
    } else if (loop_ended_) {
      return;
    } else {
      lock.unlock();
      PrepareNextStep();
      lock.lock();
    }
  }
}

void StepLoop::DeliverHandedOver(std::unique_lock<std::mutex>& lock) {
  EngineOutputs outputs = *std::exchange(handed_over_, std::nullopt);
  lock.unlock();
  news_.notify_all();
  parts_.desk->Deliver(std::move(outputs));
  lock.lock();
  --undelivered_;
  news_.notify_all();
  lock.unlock();
  parts_.desk->CloseIdleConnections();
  lock.lock();
}

void StepLoop::PrepareNextStep() {
  EngineOutputs outputs;
  {
    std::lock_guard<std::mutex> step(step_mutex_);
    bool plan_ahead = false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!computing_) return;
      plan_ahead = std::exchange(plan_ahead_due_, false);
    }
    if (plan_ahead) FillMasks();
    ApplyChanges(&outputs);
    if (plan_ahead) scheduler_->PlanAhead(absl::Now());
    UpdateMetrics();
  }
  parts_.desk->Deliver(std::move(outputs));
  parts_.desk->CloseIdleConnections();
}

// ---- Whoever holds the step.

void StepLoop::FillMasks() {
  const absl::Time start = absl::Now();
  const int rows = sampler_.FillMasks(scheduler_->rows());
  if (rows > 0) parts_.metrics->ObserveMasks(absl::Now() - start, rows);
}

void StepLoop::ApplyChanges(EngineOutputs* outputs) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    changed_ = false;
  }
  DeskChanges changes = parts_.desk->TakeChanges();
  for (const auto& [sequence, reason] : changes.refused) {
    parts_.desk->Drop(sequence, reason, outputs);
  }
  for (const int64_t sequence : changes.cancelled) scheduler_->Cancel(sequence);
  for (SequenceRequest& request : changes.submitted) {
    const int64_t id = request.id;
    const absl::Status status = scheduler_->Add(std::move(request), absl::Now());
    if (!status.ok()) parts_.desk->Drop(id, status, outputs);
  }
  // Single completions of requests that were new.
  if (!changes.submitted.empty()) {
    for (const int64_t sequence : changes.cancelled) scheduler_->Cancel(sequence);
  }
  for (const auto& [sequence, paused] : changes.paused) scheduler_->SetPaused(sequence, paused);
}

void StepLoop::UpdateMetrics() {
  parts_.metrics->SetScheduler(scheduler_->stats(), parts_.desk->submitted());
}

}  // namespace facet
