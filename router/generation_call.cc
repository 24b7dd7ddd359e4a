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

// Failures that say nothing about the request: another group may take it.
bool MayBeRetried(const absl::Status& failure) {
  return absl::IsUnavailable(failure) || absl::IsResourceExhausted(failure);
}

}  // namespace

std::shared_ptr<GenerationCall> GenerationCall::Create(const RouterParts* parts,
                                                       RequestContext context,
                                                       Admission::Permit permit,
                                                       std::function<void()> on_output) {
  return std::shared_ptr<GenerationCall>(
      new GenerationCall(parts, std::move(context), std::move(permit), std::move(on_output)));
}

GenerationCall::GenerationCall(const RouterParts* parts, RequestContext context,
                               Admission::Permit permit, std::function<void()> on_output)
    : parts_(parts),
      context_(std::move(context)),
      on_output_(std::move(on_output)),
      permit_(std::move(permit)) {
  parts_->metrics->requests_in_flight.Increment();
}

void GenerationCall::Start(const v1::GenerateRequest& request) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return;
  }
  const absl::Status prepared = Prepare(request);
  if (prepared.ok()) {
    Place();
  } else {
    std::lock_guard<std::mutex> lock(mutex_);
    EndLocked(prepared);
  }
  on_output_();
}

absl::Status GenerationCall::Prepare(const v1::GenerateRequest& request) {
  FACET_ASSIGN_OR_RETURN(GenerationSpec spec, parts_->validator->Validate(request));
  const int context_length = parts_->groups->context_length();
  if (request.prompt().has_token_ids()) {
    FACET_RETURN_IF_ERROR(
        CheckPromptLength(request.prompt().token_ids().ids_size(), context_length));
  }
  const absl::Time began = parts_->clock();
  FACET_ASSIGN_OR_RETURN(const std::vector<int32_t> prompt,
                         parts_->prompts->Build(request.prompt()));
  if (request.prompt().has_text()) {
    parts_->metrics->tokenize_seconds.Observe(absl::ToDoubleSeconds(parts_->clock() - began));
  }
  FACET_RETURN_IF_ERROR(FitToContext(static_cast<int64_t>(prompt.size()), context_length, &spec));

  std::lock_guard<std::mutex> lock(mutex_);
  assembler_.emplace(parts_->model, spec);
  submit_.set_request_id(context_.request_id);
  submit_.set_traceparent(context_.traceparent);
  submit_.mutable_prompt()->Add(prompt.begin(), prompt.end());
  *submit_.mutable_sampling() = std::move(spec.sampling);
  *submit_.mutable_stopping() = std::move(spec.stopping);
  submit_.set_want_logprobs(spec.logprobs.has_value());
  submit_.set_top_logprobs(spec.logprobs.value_or(0));
  submit_.set_priority(spec.priority);
  return absl::OkStatus();
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
    wait = std::min(parts_->wait_for_group, context_.deadline - parts_->clock());
  }
  WaitForGroup(wait);
}

void GenerationCall::WaitForGroup(absl::Duration timeout) {
  parts_->metrics->requests_waiting_for_group.Increment();
  parts_->groups->WhenReady(timeout, [self = shared_from_this()](bool) {
    self->parts_->metrics->requests_waiting_for_group.Decrement();
    self->Place();  // whether or not one is ready: it says so itself
    self->on_output_();
  });
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
  FACET_ASSIGN_OR_RETURN(placed_, parts_->groups->Submit(submit_, shared_from_this(), excluded_));
  group_ = placed_->group->address();
  if (++attempts_ == 1) {
    start_pending_ = true;
    parts_->metrics->prompt_tokens.Increment(submit_.prompt_size());
  } else {
    parts_->metrics->retries.Increment();
  }
  return absl::OkStatus();
}

bool GenerationCall::RetryLocked(const absl::Status& failure) {
  if (!MayBeRetried(failure) || first_token_.has_value() || attempts_ >= kMaxAttempts) return false;
  excluded_.insert(group_);
  return SubmitLocked().ok();
}

void GenerationCall::OnOutput(const internal::SequenceOutput& output) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return;
    if (output.tokens_size() > 0) TakeTokensLocked(output);
    if (output.has_finish() && !ended_) FinishLocked(output.finish());
  }
  on_output_();
}

void GenerationCall::TakeTokensLocked(const internal::SequenceOutput& output) {
  const absl::Time now = parts_->clock();
  if (!first_token_.has_value()) {
    first_token_ = now;
    tokens_in_first_message_ = output.tokens_size();
    parts_->metrics->time_to_first_token_seconds.Observe(
        absl::ToDoubleSeconds(now - context_.arrival));
  } else {
    parts_->metrics->inter_token_latency_seconds.Observe(absl::ToDoubleSeconds(now - last_token_));
  }
  last_token_ = now;
  if (assembler_->Push(output.tokens(), &delta_)) {
    if (!output.has_finish()) LeaveGroupLocked();
    return EndLocked(v1::STOP_SEQUENCE);
  }
  if (static_cast<size_t>(delta_.token_ids_size()) > parts_->max_buffered_tokens &&
      !output.has_finish()) {
    LeaveGroupLocked();
    EndLocked(absl::ResourceExhaustedError(
        absl::StrCat("the caller reads too slowly: ", delta_.token_ids_size(),
                     " tokens wait for it, at most ", parts_->max_buffered_tokens, " may")));
  }
}

void GenerationCall::FinishLocked(const internal::Finish& finish) {
  queue_ = absl::Seconds(finish.queue_seconds());
  switch (finish.reason()) {
    case internal::Finish::STOP:
      return EndLocked(assembler_->Finish(&delta_) ? v1::STOP_SEQUENCE : v1::STOP);
    case internal::Finish::LENGTH:
      return EndLocked(assembler_->Finish(&delta_) ? v1::STOP_SEQUENCE : v1::LENGTH);
    case internal::Finish::CANCELLED:
      assembler_->Finish(&delta_);
      return EndLocked(v1::CANCELLED);
    case internal::Finish::ERROR: {
      const absl::Status failure = ToStatus(finish);
      if (!RetryLocked(failure)) EndLocked(failure);
      return;
    }
    default:
      return EndLocked(absl::InternalError(absl::StrCat(
          "shard group ", group_, " ended the request for an unknown reason: ", finish.reason())));
  }
}

void GenerationCall::OnLost(const absl::Status& reason) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return;
    if (!RetryLocked(reason)) EndLocked(reason);
  }
  on_output_();
}

void GenerationCall::Cancel(absl::Status reason) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (ended_) return;
    LeaveGroupLocked();
    start_pending_ = false;
    delta_.Clear();  // nobody reads it any more
    EndLocked(std::move(reason));
  }
  on_output_();
}

void GenerationCall::LeaveGroupLocked() {
  if (placed_.has_value()) placed_->group->Cancel(placed_->id);
}

void GenerationCall::EndLocked(absl::Status status) {
  ended_ = true;
  end_time_ = parts_->clock();
  status_ = std::move(status);
  placed_.reset();
}

void GenerationCall::EndLocked(v1::FinishReason reason) {
  EndLocked(absl::OkStatus());
  reason_ = reason;
  v1::StreamEnd& end = end_.emplace();
  end.set_finish_reason(reason);
  end.mutable_usage()->set_prompt_tokens(submit_.prompt_size());
  end.mutable_usage()->set_completion_tokens(assembler_->completion_tokens());
  v1::Timings& timings = *end.mutable_timings();
  timings.set_queue_seconds(absl::ToDoubleSeconds(queue_));
  timings.set_total_seconds(absl::ToDoubleSeconds(end_time_ - context_.arrival));
  if (first_token_.has_value()) {
    timings.set_time_to_first_token_seconds(
        absl::ToDoubleSeconds(*first_token_ - context_.arrival));
  }
  if (reason == v1::STOP_SEQUENCE) end.set_matched_stop(assembler_->matched_stop());
}

GenerationCall::Taken GenerationCall::Take(v1::GenerateResponse* message, absl::Status* status) {
  std::lock_guard<std::mutex> lock(mutex_);
  message->Clear();
  if (start_pending_) {
    start_pending_ = false;
    v1::StreamStart* start = message->mutable_start();
    start->set_request_id(context_.request_id);
    start->set_model(parts_->model->name);
    start->set_prompt_tokens(submit_.prompt_size());
    return Taken::kMessage;
  }
  if (!StreamAssembler::IsEmpty(delta_)) {
    *message->mutable_delta() = std::move(delta_);
    delta_.Clear();
    return Taken::kMessage;
  }
  if (!ended_) return Taken::kNothing;
  if (end_.has_value()) {
    *message->mutable_end() = *std::move(end_);
    end_.reset();
    return Taken::kMessage;
  }
  *status = status_;
  return Taken::kEnd;
}

void GenerationCall::Finalize() {
  std::lock_guard<std::mutex> lock(mutex_);
  RouterMetrics& metrics = *parts_->metrics;
  metrics.requests_in_flight.Decrement();
  metrics.CountRequest("Generate", status_.code());
  metrics.request_duration_seconds.Observe(absl::ToDoubleSeconds(end_time_ - context_.arrival));
  const int completion_tokens = assembler_.has_value() ? assembler_->completion_tokens() : 0;
  metrics.generation_tokens.Increment(completion_tokens);
  const int later_tokens = completion_tokens - tokens_in_first_message_;
  if (first_token_.has_value() && later_tokens > 0) {
    metrics.time_per_output_token_seconds.Observe(
        absl::ToDoubleSeconds(last_token_ - *first_token_) / later_tokens);
  }
  RequestRecord record;
  record.method = "Generate";
  record.context = context_;
  record.status = status_;
  record.model = parts_->model->name;
  record.group = group_;
  if (reason_ != v1::FINISH_REASON_UNSPECIFIED) {
    record.finish_reason = v1::FinishReason_Name(reason_);
  }
  record.prompt_tokens = submit_.prompt_size();
  record.completion_tokens = completion_tokens;
  record.attempts = attempts_;
  record.total = end_time_ - context_.arrival;
  if (first_token_.has_value()) record.time_to_first_token = *first_token_ - context_.arrival;
  record.queue = queue_;
  parts_->log(record);
  permit_.Release();
}

}  // namespace facet
