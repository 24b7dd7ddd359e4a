#include "router/generation_call.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/retry_after.h"
#include "base/status_macros.h"

namespace facet {
namespace {

constexpr int kMaxAttempts = 2;

// A request goes on when this part of max_buffered_tokens is left to read.
constexpr int kResumeDivisor = 4;

// Tokens that may come although the request is paused: a group ends its steps first. One that goes
// on regardless (it does not know pauses) must not fill this process.
int64_t MostBufferedTokens(const RouterParts& parts) {
  return 4 * static_cast<int64_t>(parts.max_buffered_tokens) + 4096;
}

absl::Status ToStatus(const internal::Finish& finish) {
  const bool known = finish.code() > 0 && finish.code() <= 16;
  absl::Status status(
      known ? static_cast<absl::StatusCode>(finish.code()) : absl::StatusCode::kInternal,
      finish.message());
  if (finish.retry_after_ms() > 0) {
    status = WithRetryAfter(std::move(status), absl::Milliseconds(finish.retry_after_ms()));
  }
  return status;
}

RequestContext WithToken(RequestContext context, const std::stop_source& source) {
  context.cancelled = source.get_token();
  return context;
}

// Failures that say nothing about the request: another group may take it.
bool MayBeRetried(const absl::Status& failure) {
  return absl::IsUnavailable(failure) || absl::IsResourceExhausted(failure);
}

}  // namespace

class GenerationCall::Attempt : public ShardSink {
 public:
  Attempt(std::shared_ptr<GenerationCall> call, int number)
      : call_(std::move(call)), number_(number) {}

  void OnOutput(const internal::SequenceOutput& output) override {
    call_->OnOutput(number_, output);
  }
  void OnLost(const absl::Status& reason) override { call_->OnLost(number_, reason); }

 private:
  const std::shared_ptr<GenerationCall> call_;
  const int number_;
};

std::shared_ptr<GenerationCall> GenerationCall::Create(const RouterParts* parts, std::string method,
                                                       RequestContext context,
                                                       Admission::Permit permit,
                                                       std::function<void()> on_output) {
  return std::shared_ptr<GenerationCall>(new GenerationCall(
      parts, std::move(method), std::move(context), std::move(permit), std::move(on_output)));
}

GenerationCall::GenerationCall(const RouterParts* parts, std::string method, RequestContext context,
                               Admission::Permit permit, std::function<void()> on_output)
    : parts_(parts),
      method_(std::move(method)),
      context_(WithToken(std::move(context), stop_)),
      on_output_(std::move(on_output)),
      permit_(std::move(permit)) {
  parts_->metrics->requests_in_flight.Increment();
}

void GenerationCall::Start(const Prepare& prepare) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return;
  }
  absl::StatusOr<CallWork> work = prepare(context_);
  if (work.ok()) {
    BeginWith(*std::move(work));
    Place();
  } else {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!ended_) EndLocked(work.status());
  }
  on_output_();
}

void GenerationCall::BeginWith(CallWork work) {
  std::lock_guard<std::mutex> lock(mutex_);
  output_ = std::move(work.output);
  submit_ = std::move(work.submit);
  submit_.set_request_id(context_.request_id);
  submit_.set_traceparent(context_.traceparent);
  times_.resize(static_cast<size_t>(output_->n()));
}

void GenerationCall::Place() {
  absl::Duration wait = absl::ZeroDuration();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return;
    const absl::Status placed = SubmitLocked();
    if (placed.ok()) return;
    if (!absl::IsUnavailable(placed) || waited_ || parts_->wait_for_group <= absl::ZeroDuration()) {
      return EndLocked(placed);
    }
    waited_ = true;
    waiting_ = true;
    parts_->metrics->requests_waiting_for_group.Increment();
    wait = std::min(parts_->wait_for_group, context_.deadline - parts_->clock());
  }
  WaitForGroup(wait);
}

void GenerationCall::WaitForGroup(absl::Duration timeout) {
  parts_->groups->WhenReady(timeout, [self = shared_from_this()](bool) {
    {
      std::lock_guard<std::mutex> lock(self->mutex_);
      self->StopWaitingLocked();
    }
    self->Place();  // whether or not one is ready: it says so itself
    self->on_output_();
  });
}

void GenerationCall::StopWaitingLocked() {
  if (waiting_) parts_->metrics->requests_waiting_for_group.Decrement();
  waiting_ = false;
}

absl::Status GenerationCall::SubmitLocked() {
  submit_.set_timeout_ms(0);
  if (context_.deadline != absl::InfiniteFuture()) {
    const absl::Duration left = context_.deadline - parts_->clock();
    if (left <= absl::ZeroDuration()) {
      return absl::DeadlineExceededError("the deadline passed before a shard group was found");
    }
    submit_.set_timeout_ms(absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1))));
  }
  const auto attempt = std::make_shared<Attempt>(shared_from_this(), attempts_ + 1);
  FACET_ASSIGN_OR_RETURN(placed_, parts_->groups->Submit(submit_, attempt, excluded_));
  group_ = placed_->group->address();
  paused_ = false;
  output_->Restart();
  if (++attempts_ == 1) {
    parts_->metrics->prompt_tokens.Increment(submit_.prompt_size());
  } else {
    parts_->metrics->retries.Increment();
  }
  return absl::OkStatus();
}

bool GenerationCall::RetryLocked(const absl::Status& failure) {
  if (!MayBeRetried(failure) || first_token_.has_value() || attempts_ >= kMaxAttempts) return false;
  if (paused_ && absl::IsResourceExhausted(failure)) return false;  // it is the reader's fault
  excluded_.insert(group_);
  LeaveGroupLocked();  // a failure of one completion leaves the others there
  return SubmitLocked().ok();
}

void GenerationCall::OnOutput(int attempt, const internal::SequenceOutput& output) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_ || attempt != attempts_) return;
    OnOutputLocked(output);
    FollowReaderLocked();
    if (WaitForTurnLocked()) return;
  }
  on_output_();
}

void GenerationCall::OnOutputLocked(const internal::SequenceOutput& output) {
  const bool of_all = output.index() < 0;
  if (output.index() >= output_->n() || (of_all && output.tokens_size() > 0)) {
    LeaveGroupLocked();
    return EndLocked(
        absl::InternalError(absl::StrCat("shard group ", group_, " sent tokens of completion ",
                                         output.index(), " of ", output_->n())));
  }
  if (output.has_started()) StartedLocked(output.started());
  if (submit_.want_prompt_logprobs()) output_->AddPrompt(output.prompt());
  if (!of_all && output_->ended(output.index())) return;  // by itself, a moment ago
  if (output.tokens_size() > 0) TakeTokensLocked(output);
  if (output.has_finish() && !ended_) FinishLocked(output);
}

void GenerationCall::StartedLocked(const internal::Started& started) {
  queue_ = absl::Seconds(started.queue_seconds());
  output_->Started(started.cached_tokens(), started.not_enforced());
}

void GenerationCall::TakeTokensLocked(const internal::SequenceOutput& output) {
  // A group of an earlier version does not say so itself.
  if (!output_->started()) StartedLocked(internal::Started());
  const int before = output_->completion_tokens(output.index());
  const bool complete = output_->Push(output.index(), output.tokens());
  MeasureTokensLocked(output.index(), output_->completion_tokens(output.index()) - before);
  if (complete) {
    if (!output.has_finish()) placed_->group->Cancel(placed_->id, output.index());
    if (output_->all_ended()) EndWithAnswerLocked();
    return;
  }
  if (output_->pending_tokens() > MostBufferedTokens(*parts_)) {
    LeaveGroupLocked();
    EndLocked(absl::ResourceExhaustedError(
        absl::StrCat("the caller reads too slowly: ", output_->pending_tokens(),
                     " tokens wait for it, at most ", MostBufferedTokens(*parts_), " may")));
  }
}

void GenerationCall::MeasureTokensLocked(int index, int tokens) {
  const absl::Time now = parts_->clock();
  CompletionTimes& times = times_[static_cast<size_t>(index)];
  if (!first_token_.has_value()) {
    first_token_ = now;
    parts_->metrics->time_to_first_token_seconds.Observe(
        absl::ToDoubleSeconds(now - context_.arrival));
  }
  if (!times.first.has_value()) {
    times.first = now;
  } else {
    times.later_tokens += tokens;
    parts_->metrics->inter_token_latency_seconds.Observe(absl::ToDoubleSeconds(now - times.last));
  }
  times.last = now;
}

void GenerationCall::FinishLocked(const internal::SequenceOutput& output) {
  const internal::Finish& finish = output.finish();
  if (finish.queue_seconds() > 0) queue_ = absl::Seconds(finish.queue_seconds());
  switch (finish.reason()) {
    case internal::Finish::STOP:
      return FinishCompletionsLocked(output.index(), v1::STOP);
    case internal::Finish::LENGTH:
      return FinishCompletionsLocked(output.index(), v1::LENGTH);
    case internal::Finish::CANCELLED:
      return FinishCompletionsLocked(output.index(), v1::CANCELLED);
    case internal::Finish::ERROR: {
      const absl::Status failure = ToStatus(finish);
      if (RetryLocked(failure)) return;
      LeaveGroupLocked();
      return EndLocked(failure);
    }
    default:
      LeaveGroupLocked();
      return EndLocked(absl::InternalError(absl::StrCat(
          "shard group ", group_, " ended the request for an unknown reason: ", finish.reason())));
  }
}

void GenerationCall::FinishCompletionsLocked(int index, v1::FinishReason reason) {
  if (!output_->started()) StartedLocked(internal::Started());
  for (int i = 0; i < output_->n(); ++i) {
    if ((index < 0 || i == index) && !output_->ended(i)) output_->End(i, reason);
  }
  if (output_->all_ended()) EndWithAnswerLocked();
}

void GenerationCall::OnLost(int attempt, const absl::Status& reason) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_ || attempt != attempts_) return;
    if (!RetryLocked(reason)) EndLocked(reason);
  }
  on_output_();
}

void GenerationCall::FollowReaderLocked() {
  if (ended_ || !placed_.has_value()) return;
  const int pending = output_->pending_tokens() + output_->pending_prompt_tokens();
  const bool pause = paused_ ? pending > parts_->max_buffered_tokens / kResumeDivisor
                             : pending > parts_->max_buffered_tokens;
  if (pause == paused_) return;
  paused_ = pause;
  if (pause) {
    last_read_ = parts_->clock();
    parts_->metrics->reader_pauses.Increment();
  }
  placed_->group->Pause(placed_->id, pause);
}

bool GenerationCall::WaitForTurnLocked() {
  if (ended_ || !first_read_ || !parts_->pacer->on()) return false;
  if (!waits_for_turn_) parts_->pacer->Wait([self = shared_from_this()] { self->TakeTurn(); });
  waits_for_turn_ = true;
  return true;
}

void GenerationCall::TakeTurn() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    waits_for_turn_ = false;
  }
  on_output_();
}

void GenerationCall::CheckReader() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!paused_ && !ended_) return;
    if (parts_->clock() - last_read_ < parts_->max_read_pause) return;
    if (ended_) {
      abandoned_ = true;
    } else {
      LeaveGroupLocked();
      EndLocked(absl::ResourceExhaustedError(absl::StrCat(
          "the caller reads too slowly: it has read nothing for ",
          absl::FormatDuration(parts_->max_read_pause), " while ",
          output_->pending_tokens() + output_->pending_prompt_tokens(), " tokens wait for it")));
    }
  }
  on_output_();
}

bool GenerationCall::abandoned() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return abandoned_;
}

void GenerationCall::Cancel(absl::Status reason) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return;
    StopWaitingLocked();
    LeaveGroupLocked();
    if (output_ != nullptr) output_->Drop();
    EndLocked(std::move(reason));
  }
  stop_.request_stop();
  on_output_();
}

void GenerationCall::LeaveGroupLocked() {
  if (placed_.has_value()) placed_->group->Cancel(placed_->id);
}

void GenerationCall::EndLocked(absl::Status status) {
  ended_ = true;
  end_time_ = parts_->clock();
  last_read_ = end_time_;
  status_ = std::move(status);
  placed_.reset();
}

void GenerationCall::EndWithAnswerLocked() {
  EndLocked(absl::OkStatus());
  reason_ = output_->finish_reason();
  v1::Timings timings;
  timings.set_queue_seconds(absl::ToDoubleSeconds(queue_));
  timings.set_total_seconds(absl::ToDoubleSeconds(end_time_ - context_.arrival));
  if (first_token_.has_value()) {
    timings.set_time_to_first_token_seconds(
        absl::ToDoubleSeconds(*first_token_ - context_.arrival));
  }
  output_->Close(timings);
}

GenerationCall::Taken GenerationCall::Take(CallOutput::Message* message, absl::Status* status) {
  std::lock_guard<std::mutex> lock(mutex_);
  message->Clear();
  if (waits_for_turn_ && !promised_ && !ended_) return Taken::kNothing;
  promised_ = false;
  if (output_ != nullptr && output_->Take(message)) {
    first_read_ = first_read_ || (first_token_.has_value() && output_->pending_tokens() == 0);
    last_read_ = parts_->clock();
    FollowReaderLocked();
    promised_ = output_->more();
    if (promised_) return Taken::kMessageBeforeMore;
    if (!ended_) return Taken::kMessage;
    *status = status_;
    return Taken::kLastMessage;
  }
  if (!ended_) return Taken::kNothing;
  *status = status_;
  return Taken::kEnd;
}

void GenerationCall::Finalize() {
  std::lock_guard<std::mutex> lock(mutex_);
  RouterMetrics& metrics = *parts_->metrics;
  metrics.requests_in_flight.Decrement();
  metrics.CountRequest(method_, status_.code());
  metrics.request_duration_seconds.Observe(absl::ToDoubleSeconds(end_time_ - context_.arrival));
  if (output_ != nullptr) CountAnswerLocked();
  parts_->log(MakeRecordLocked());
  permit_.Release();
}

void GenerationCall::CountAnswerLocked() {
  RouterMetrics& metrics = *parts_->metrics;
  metrics.generation_tokens.Increment(output_->completion_tokens());
  metrics.chat_reasoning_tokens.Increment(output_->reasoning_tokens());
  metrics.chat_tool_calls.Increment(output_->tool_calls());
  metrics.chat_broken_tool_calls.Increment(output_->broken_tool_calls());
  for (const CompletionTimes& times : times_) {
    if (times.later_tokens == 0) continue;
    metrics.time_per_output_token_seconds.Observe(absl::ToDoubleSeconds(times.last - *times.first) /
                                                  static_cast<double>(times.later_tokens));
  }
}

RequestRecord GenerationCall::MakeRecordLocked() const {
  RequestRecord record;
  record.method = method_;
  record.context = context_;
  record.status = status_;
  record.model = parts_->model->name;
  record.group = group_;
  if (reason_ != v1::FINISH_REASON_UNSPECIFIED) {
    record.finish_reason = v1::FinishReason_Name(reason_);
  }
  record.prompt_tokens = submit_.prompt_size();
  if (output_ != nullptr) {
    record.completions = output_->n();
    record.cached_tokens = output_->cached_tokens();
    record.completion_tokens = output_->completion_tokens();
    record.reasoning_tokens = output_->reasoning_tokens();
    record.tool_calls = output_->tool_calls();
  }
  record.attempts = attempts_;
  record.total = end_time_ - context_.arrival;
  if (first_token_.has_value()) record.time_to_first_token = *first_token_ - context_.arrival;
  record.queue = queue_;
  return record;
}

}  // namespace facet
