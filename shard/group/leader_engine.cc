#include "shard/group/leader_engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/retry_after.h"
#include "base/status_macros.h"
#include "shard/group/follower_loop.h"

namespace facet {
namespace {

constexpr absl::Duration kLeastRetryAfter = absl::Milliseconds(100);
constexpr absl::Duration kMostRetryAfter = absl::Seconds(30);

bool HasPenalty(const SamplingParams& sampling) {
  return sampling.repetition_penalty != 1.0 || sampling.presence_penalty != 0.0 ||
         sampling.frequency_penalty != 0.0;
}

absl::Status GroupLost(const absl::Status& reason) {
  return absl::UnavailableError(absl::StrCat("the shard group was lost: ", reason.message()));
}

}  // namespace

absl::Status LeaderEngine::Options::Validate() const {
  FACET_RETURN_IF_ERROR(scheduler.Validate());
  if (vocab_size < 1) {
    return absl::InvalidArgumentError(absl::StrCat("vocab_size is ", vocab_size, "; at least 1"));
  }
  if (step_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("step_timeout is ", absl::FormatDuration(step_timeout), "; must be positive"));
  }
  if (heartbeat <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(
        absl::StrCat("heartbeat is ", absl::FormatDuration(heartbeat), "; must be positive"));
  }
  if (max_buffered_outputs < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("max_buffered_outputs is ", max_buffered_outputs, "; at least 1"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<LeaderEngine>> LeaderEngine::Start(const Options& options,
                                                                  StepModel* model,
                                                                  Collective* collective,
                                                                  StepMetrics* step_metrics,
                                                                  EngineMetrics* metrics) {
  FACET_RETURN_IF_ERROR(options.Validate());
  Scheduler::Options scheduling = options.scheduler;
  // Requests pass through its queue even when there is room to run: the engine keeps the bound.
  scheduling.max_queue += scheduling.max_running_sequences;
  FACET_ASSIGN_OR_RETURN(auto scheduler, Scheduler::Create(scheduling));
  return std::unique_ptr<LeaderEngine>(
      new LeaderEngine(options, std::move(scheduler), model, collective, step_metrics, metrics));
}

LeaderEngine::LeaderEngine(const Options& options, std::unique_ptr<Scheduler> scheduler,
                           StepModel* model, Collective* collective, StepMetrics* step_metrics,
                           EngineMetrics* metrics)
    : options_(options),
      scheduler_(std::move(scheduler)),
      model_(model),
      collective_(collective),
      step_metrics_(step_metrics),
      metrics_(metrics),
      channel_(collective),
      last_sent_(absl::Now()) {
  UpdateMetrics();
  loop_ = std::thread([this] { RunLoop(); });
  watch_ = std::thread([this] { WatchSteps(); });
}

LeaderEngine::~LeaderEngine() {
  Stop().IgnoreError();
  loop_.join();
  watch_.join();
}

// ---- Any thread: connections and requests.

std::shared_ptr<EngineConnection> LeaderEngine::Connect(std::function<void()> on_news) {
  auto connection =
      std::make_shared<EngineConnection>(options_.max_buffered_outputs, std::move(on_news));
  absl::Status closed;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed = CheckAdmissionLocked();
    if (closed.ok()) {
      const auto gone = [](const auto& weak) { return weak.expired(); };
      connections_.erase(std::remove_if(connections_.begin(), connections_.end(), gone),
                         connections_.end());
      connections_.push_back(connection);
    }
  }
  if (!closed.ok()) connection->Close(closed);
  return connection;
}

void LeaderEngine::Disconnect(const std::shared_ptr<EngineConnection>& connection) {
  connection->Detach();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    EndRequestsLocked(connection.get(), FinishReason::kCancelled, absl::OkStatus());
  }
  work_.notify_all();
}

absl::Status LeaderEngine::CheckAdmissionLocked() const {
  if (!failure_.ok()) return GroupLost(failure_);
  if (draining_ || stop_requested_) {
    return absl::UnavailableError("the shard group is draining");
  }
  return absl::OkStatus();
}

absl::Status LeaderEngine::CheckRequest(const EngineRequest& request) const {
  FACET_RETURN_IF_ERROR(request.sampling.Validate(options_.vocab_size));
  FACET_RETURN_IF_ERROR(request.stopping.Validate(options_.vocab_size));
  const auto prompt_tokens = static_cast<int64_t>(request.prompt.size());
  if (prompt_tokens == 0) return absl::InvalidArgumentError("the prompt has no tokens");
  if (prompt_tokens >= options_.scheduler.max_context) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the prompt has ", prompt_tokens, " tokens; the context length of ",
        options_.scheduler.max_context, " allows at most ", options_.scheduler.max_context - 1));
  }
  for (size_t i = 0; i < request.prompt.size(); ++i) {
    if (request.prompt[i] < 0 || request.prompt[i] >= options_.vocab_size) {
      return absl::InvalidArgumentError(absl::StrCat("prompt token ", i, " is ", request.prompt[i],
                                                     "; allowed: 0 to ", options_.vocab_size - 1));
    }
  }
  return absl::OkStatus();
}

void LeaderEngine::Submit(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
                          EngineRequest request) {
  if (!connection->Open(id)) {
    if (!connection->status().ok()) return;
    connection->Close(
        absl::InvalidArgumentError(absl::StrCat("request id ", id, " is in use on this stream")));
    std::lock_guard<std::mutex> lock(mutex_);
    EndRequestsLocked(connection.get(), FinishReason::kCancelled, absl::OkStatus());
    work_.notify_all();
    return;
  }
  absl::Status status = CheckRequest(request);
  if (status.ok()) status = Admit(connection, id, std::move(request));
  if (status.ok()) {
    work_.notify_all();
    return;
  }
  metrics_->CountFinish(FinishReason::kError, status);
  EngineOutput refusal{.id = id,
                       .tokens = {},
                       .finish = EngineFinish{FinishReason::kError, status, absl::ZeroDuration()}};
  Outputs outputs;
  outputs[connection].push_back(std::move(refusal));
  PushAll(std::move(outputs));
}

absl::Status LeaderEngine::Admit(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
                                 EngineRequest request) {
  auto live = std::make_unique<Live>();
  live->connection = connection;
  live->id = id;
  live->arrival = absl::Now();
  live->prompt_tokens = static_cast<int>(request.prompt.size());
  live->stop.emplace(request.stopping, live->prompt_tokens, options_.scheduler.max_context);
  live->counts_tokens = HasPenalty(request.sampling);
  if (live->counts_tokens) live->counts = TokenCounts(request.prompt);
  live->sampling = std::move(request.sampling);
  Submission submission;
  submission.request.prompt = std::move(request.prompt);
  submission.request.max_new_tokens = live->stop->max_new_tokens();
  submission.request.priority = request.priority;
  submission.request.deadline = live->arrival + request.timeout;

  std::lock_guard<std::mutex> lock(mutex_);
  FACET_RETURN_IF_ERROR(CheckAdmissionLocked());
  FACET_RETURN_IF_ERROR(connection->status());  // closed meanwhile
  const int most = options_.scheduler.max_queue + options_.scheduler.max_running_sequences;
  if (static_cast<int>(live_.size()) >= most) {
    return WithRetryAfter(
        absl::ResourceExhaustedError(absl::StrCat(
            "the queue of the shard group is full: ", live_.size(),
            " requests are running or "
            "waiting, at most ",
            options_.scheduler.max_running_sequences, " and ", options_.scheduler.max_queue)),
        std::clamp(recent_queue_time_, kLeastRetryAfter, kMostRetryAfter));
  }
  submission.sequence_id = next_sequence_++;
  submission.request.id = submission.sequence_id;
  sequence_of_[{connection.get(), id}] = submission.sequence_id;
  live_.emplace(submission.sequence_id, std::move(live));
  submissions_.push_back(std::move(submission));
  return absl::OkStatus();
}

void LeaderEngine::Cancel(const std::shared_ptr<EngineConnection>& connection, uint64_t id) {
  Outputs outputs;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto it = sequence_of_.find({connection.get(), id});
    if (it == sequence_of_.end()) return;
    Live& live = *live_.at(it->second);
    cancellations_.push_back(it->second);
    outputs[connection].push_back(EndLocked(live, FinishReason::kCancelled, absl::OkStatus()));
  }
  work_.notify_all();
  PushAll(std::move(outputs));
}

void LeaderEngine::Drain() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    draining_ = true;
  }
  CloseDrainedConnections();
}

bool LeaderEngine::idle() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return live_.empty();
}

void LeaderEngine::AbortRequests(const absl::Status& reason) {
  Outputs outputs;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    outputs = EndRequestsLocked(nullptr, FinishReason::kError, reason);
  }
  work_.notify_all();
  PushAll(std::move(outputs));
}

absl::Status LeaderEngine::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    draining_ = true;
    stop_requested_ = true;
  }
  AbortRequests(absl::UnavailableError("the shard group is stopping"));
  CloseDrainedConnections();
  std::unique_lock<std::mutex> lock(mutex_);
  stopped_.wait(lock, [this] { return loop_ended_ || !failure_.ok(); });
  return failure_.ok() ? stop_status_ : failure_;
}

absl::Status LeaderEngine::failure() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return failure_;
}

// ---- Any thread: how requests end.

EngineOutput LeaderEngine::EndLocked(Live& live, FinishReason reason, const absl::Status& status) {
  EngineOutput output;
  output.id = live.id;
  output.finish = EngineFinish{reason, status,
                               live.started ? *live.started - live.arrival : absl::ZeroDuration()};
  if (!live.ended) metrics_->CountFinish(reason, status);
  live.ended = true;
  sequence_of_.erase({live.connection.get(), live.id});
  return output;
}

LeaderEngine::Outputs LeaderEngine::EndRequestsLocked(const EngineConnection* connection,
                                                      FinishReason reason,
                                                      const absl::Status& status) {
  Outputs outputs;
  for (auto& [sequence_id, live] : live_) {
    if (live->ended || (connection != nullptr && live->connection.get() != connection)) continue;
    cancellations_.push_back(sequence_id);
    outputs[live->connection].push_back(EndLocked(*live, reason, status));
  }
  return outputs;
}

void LeaderEngine::PushAll(Outputs outputs) {
  for (auto& [connection, of_connection] : outputs) {
    if (connection->Push(std::move(of_connection))) continue;
    const absl::Status slow = absl::ResourceExhaustedError(
        absl::StrCat("the reader is too slow: more than ", options_.max_buffered_outputs,
                     " outputs wait to be read"));
    Outputs finishes;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      finishes = EndRequestsLocked(connection.get(), FinishReason::kError, slow);
    }
    work_.notify_all();
    for (auto& [same, last] : finishes) same->Push(std::move(last));
  }
}

void LeaderEngine::CloseDrainedConnections() {
  std::vector<std::shared_ptr<EngineConnection>> done;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!draining_) return;
    for (const auto& weak : connections_) {
      auto connection = weak.lock();
      if (connection && connection->open_requests() == 0) done.push_back(std::move(connection));
    }
  }
  for (const auto& connection : done) {
    connection->Close(absl::UnavailableError("the shard group is draining"));
  }
}

void LeaderEngine::FailGroup(const absl::Status& reason) {
  Outputs outputs;
  std::vector<std::shared_ptr<EngineConnection>> connections;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_.ok()) return;
    failure_ = reason;
    outputs = EndRequestsLocked(nullptr, FinishReason::kError, GroupLost(reason));
    for (const auto& weak : connections_) {
      if (auto connection = weak.lock()) connections.push_back(std::move(connection));
    }
  }
  FACET_LOG(Error) << "the group is lost: " << reason;
  metrics_->CountGroupError(reason);
  step_metrics_->SetReady(false);
  collective_->Abort(reason);
  PushAll(std::move(outputs));
  for (const auto& connection : connections) connection->Close(GroupLost(reason));
  work_.notify_all();
  stopped_.notify_all();
  if (options_.on_failure) options_.on_failure(reason);
}

void LeaderEngine::WatchSteps() {
  const absl::Duration interval =
      std::clamp(options_.step_timeout / 10, absl::Milliseconds(10), absl::Seconds(1));
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopped_.wait_for(lock, absl::ToChronoNanoseconds(interval),
                            [this] { return loop_ended_ || !failure_.ok(); })) {
    if (!step_started_ || absl::Now() - *step_started_ <= options_.step_timeout) continue;
    lock.unlock();
    FailGroup(absl::DeadlineExceededError(
        absl::StrCat("a step has not ended within ", absl::FormatDuration(options_.step_timeout))));
    lock.lock();
  }
}

// ---- The loop thread.

void LeaderEngine::RunLoop() {
  while (WaitForWork()) {
    TakeCancellations();
    TakeSubmissions();
    if (const absl::Status status = RunStep(); !status.ok()) {
      FailGroup(status);
      break;
    }
    CloseDrainedConnections();
  }
  SendStop();
  std::lock_guard<std::mutex> lock(mutex_);
  loop_ended_ = true;
  stopped_.notify_all();
}

// False when the loop should end. Otherwise returns at once if there is something to do, else when
// the next heartbeat is due.
bool LeaderEngine::WaitForWork() {
  const SchedulerStats stats = scheduler_->stats();
  const bool busy = stats.queued + stats.running > 0;
  std::unique_lock<std::mutex> lock(mutex_);
  const auto has_work = [&] {
    return busy || stop_requested_ || !failure_.ok() || !submissions_.empty() ||
           !cancellations_.empty();
  };
  if (collective_->world_size() == 1) {
    work_.wait(lock, has_work);
  } else {
    const absl::Duration left = last_sent_ + options_.heartbeat - absl::Now();
    work_.wait_for(lock, absl::ToChronoNanoseconds(std::max(left, absl::ZeroDuration())), has_work);
  }
  return !stop_requested_ && failure_.ok();
}

void LeaderEngine::TakeCancellations() {
  std::vector<int64_t> sequences;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    sequences.swap(cancellations_);
    if (sequences.empty()) return;
    // One that never came to the scheduler.
    const auto ended = [this](const Submission& s) { return live_.at(s.sequence_id)->ended; };
    submissions_.erase(std::remove_if(submissions_.begin(), submissions_.end(), ended),
                       submissions_.end());
    for (const int64_t id : sequences) live_.erase(id);
  }
  for (const int64_t id : sequences) scheduler_->Cancel(id);
}

void LeaderEngine::TakeSubmissions() {
  std::deque<Submission> submissions;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    submissions.swap(submissions_);
  }
  Outputs outputs;
  for (Submission& submission : submissions) {
    const absl::Status status = scheduler_->Add(std::move(submission.request), absl::Now());
    if (!status.ok()) {
      Forget(submission.sequence_id, {}, FinishReason::kError, status, outputs);
    }
  }
  PushAll(std::move(outputs));
}

absl::Status LeaderEngine::RunStep() {
  const StepPlan plan = scheduler_->Next(absl::Now());
  ReportExpired();
  if (plan.kind == StepPlan::Kind::kIdle) {
    UpdateMetrics();
    return SendIdle(plan);
  }
  NoteStarts(plan);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    step_started_ = absl::Now();
  }
  const absl::Status status = Execute(plan);
  std::lock_guard<std::mutex> lock(mutex_);
  step_started_.reset();
  return status;
}

absl::Status LeaderEngine::SendIdle(const StepPlan& plan) {
  const absl::Time now = absl::Now();
  if (now - last_sent_ < options_.heartbeat) return absl::OkStatus();
  last_sent_ = now;
  return channel_.Send(plan);
}

absl::Status LeaderEngine::Execute(const StepPlan& plan) {
  const absl::Time start = absl::Now();
  FACET_RETURN_IF_ERROR(channel_.Send(plan));
  last_sent_ = start;
  FACET_ASSIGN_OR_RETURN(const Tensor logits, model_->Forward(plan));
  const absl::Time computed = absl::Now();
  step_metrics_->ObserveStep(PhaseOf(plan), computed - start, model_->timings());
  Outputs outputs;
  FACET_RETURN_IF_ERROR(SampleRows(logits, outputs));
  metrics_->ObserveSampling(absl::Now() - computed);
  UpdateMetrics();
  PushAll(std::move(outputs));
  return absl::OkStatus();
}

void LeaderEngine::NoteStarts(const StepPlan& plan) {
  const absl::Time now = absl::Now();
  std::lock_guard<std::mutex> lock(mutex_);
  for (const SequenceStep& sequence : plan.sequences) {
    Live& live = *live_.at(sequence.sequence_id);
    if (live.started) continue;
    live.started = now;
    recent_queue_time_ = now - live.arrival;
    metrics_->ObserveStart(recent_queue_time_, live.prompt_tokens);
  }
}

absl::Status LeaderEngine::SampleRows(const Tensor& logits, Outputs& outputs) {
  const absl::Span<const LogitsRow> rows = scheduler_->rows();
  if (logits.rows != static_cast<int64_t>(rows.size()) ||
      (!rows.empty() && logits.cols != options_.vocab_size)) {
    return absl::InternalError(absl::StrCat("the step gave logits [", logits.rows, ", ",
                                            logits.cols, "], not [", rows.size(), ", ",
                                            options_.vocab_size, "]"));
  }
  std::vector<NewToken> tokens;
  for (size_t i = 0; i < rows.size(); ++i) {
    const absl::Span<const float> row(logits.f32(static_cast<int64_t>(i)),
                                      static_cast<size_t>(options_.vocab_size));
    tokens.push_back(SampleRow(rows[i].sequence_id, row, outputs));
  }
  metrics_->CountGenerated(static_cast<int>(tokens.size()));
  scheduler_->Commit(tokens);
  return absl::OkStatus();
}

NewToken LeaderEngine::SampleRow(int64_t sequence_id, absl::Span<const float> logits,
                                 Outputs& outputs) {
  Live& live = *FindLive(sequence_id);
  absl::StatusOr<SampledToken> sampled =
      sampler_.Sample(logits, live.sampling, live.counts, live.stop->MaskedTokens(live.generated),
                      live.prompt_tokens + live.generated);
  if (!sampled.ok()) {
    Forget(sequence_id, {}, FinishReason::kError, sampled.status(), outputs);
    return {sequence_id, 0, /*finished=*/true};
  }
  const int32_t token = sampled->token;
  ++live.generated;
  if (live.counts_tokens) live.counts.AddGenerated(token);
  const FinishReason reason = live.stop->Check(token, live.generated);
  if (reason != FinishReason::kNone) {
    Forget(sequence_id, {*std::move(sampled)}, reason, absl::OkStatus(), outputs);
    return {sequence_id, token, /*finished=*/true};
  }
  EngineOutput output;
  output.id = live.id;
  output.tokens.push_back(*std::move(sampled));
  outputs[live.connection].push_back(std::move(output));
  return {sequence_id, token, /*finished=*/false};
}

void LeaderEngine::ReportExpired() {
  const std::vector<int64_t> expired = scheduler_->TakeExpired();
  if (expired.empty()) return;
  Outputs outputs;
  for (const int64_t id : expired) {
    Forget(id, {}, FinishReason::kError,
           absl::DeadlineExceededError("the request's timeout is over"), outputs);
  }
  PushAll(std::move(outputs));
}

void LeaderEngine::UpdateMetrics() {
  const SchedulerStats stats = scheduler_->stats();
  std::lock_guard<std::mutex> lock(mutex_);
  metrics_->SetScheduler(stats, static_cast<int>(submissions_.size()));
}

LeaderEngine::Live* LeaderEngine::FindLive(int64_t sequence_id) {
  std::lock_guard<std::mutex> lock(mutex_);
  return live_.at(sequence_id).get();
}

void LeaderEngine::Forget(int64_t sequence_id, std::vector<SampledToken> tokens,
                          FinishReason reason, const absl::Status& status, Outputs& outputs) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto it = live_.find(sequence_id);
  if (it == live_.end()) return;
  Live& live = *it->second;
  if (!live.ended) {
    EngineOutput output = EndLocked(live, reason, status);
    output.tokens = std::move(tokens);
    outputs[live.connection].push_back(std::move(output));
  }
  live_.erase(it);
}

void LeaderEngine::SendStop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_.ok()) return;
  }
  StepPlan plan;
  plan.kind = StepPlan::Kind::kStop;
  absl::Status status = channel_.Send(plan);
  if (!status.ok()) FACET_LOG(Warning) << "not every rank heard the stop: " << status;
  std::lock_guard<std::mutex> lock(mutex_);
  stop_status_ = std::move(status);
}

}  // namespace facet
