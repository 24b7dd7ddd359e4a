#include "shard/group/request_desk.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/retry_after.h"
#include "base/status_macros.h"

namespace facet {
namespace {

constexpr absl::Duration kLeastRetryAfter = absl::Milliseconds(100);
constexpr absl::Duration kMostRetryAfter = absl::Seconds(30);

// Hashes the prompt, if page_tokens is not 0.
SequenceRequest SequenceOf(EngineRequest request, const LiveRequest& live, int page_tokens,
                           bool has_blocks) {
  SequenceRequest out;
  out.media = MakePromptMedia(request.media, has_blocks);
  if (page_tokens > 0) {
    out.block_hashes.emplace(page_tokens, request.cache_salt,
                             HashedSpans(request.media, has_blocks));
    out.block_hashes->Extend(request.prompt);
  }
  out.n = request.n;
  out.prompt_logits = request.prompt_logprobs.has_value();
  out.prompt = std::move(request.prompt);
  out.max_new_tokens = live.stop.max_new_tokens();
  out.priority = request.priority;
  out.deadline = live.deadline;
  return out;
}

}  // namespace

RequestDesk::RequestDesk(const Options& options, EngineMetrics* metrics, GrammarQueue* grammars,
                         std::function<void()> on_change)
    : options_(options), metrics_(metrics), grammars_(grammars), on_change_(std::move(on_change)) {}

// ---- Readers.

std::shared_ptr<EngineConnection> RequestDesk::Connect(std::function<void()> on_news) {
  auto connection =
      std::make_shared<EngineConnection>(options_.max_buffered_outputs, std::move(on_news));
  absl::Status closed;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed = refusal_;
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

void RequestDesk::Disconnect(const std::shared_ptr<EngineConnection>& connection) {
  connection->Detach();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    EndOfLocked(connection.get(), FinishReason::kCancelled, absl::OkStatus());
  }
  on_change_();
}

void RequestDesk::Submit(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
                         EngineRequest request) {
  absl::Status status = request.Validate(options_.limits);
  if (!connection->Open(id, status.ok() ? request.n : 1)) {
    if (!connection->status().ok()) return;
    connection->Close(
        absl::InvalidArgumentError(absl::StrCat("request id ", id, " is in use on this stream")));
    {
      std::lock_guard<std::mutex> lock(mutex_);
      EndOfLocked(connection.get(), FinishReason::kCancelled, absl::OkStatus());
    }
    on_change_();
    return;
  }
  std::optional<GrammarRequest> grammar = std::exchange(request.grammar, std::nullopt);
  int64_t sequence_id = 0;
  if (status.ok()) {
    status = Admit(connection, id, std::move(request), grammar.has_value(), &sequence_id);
  }
  if (status.ok() && grammar.has_value()) {
    const ThoughtGate::Start start = grammar->start;
    grammars_->Compile(std::move(grammar->spec),
                       [this, sequence_id, start](GrammarQueue::Result result) {
                         Release(sequence_id, start, std::move(result));
                       });
    return;
  }
  if (status.ok()) {
    on_change_();
    return;
  }
  metrics_->CountFinish(FinishReason::kError, status);
  EngineOutput refusal;
  refusal.id = id;
  refusal.index = EngineOutput::kAllCompletions;
  refusal.finish = EngineFinish{FinishReason::kError, status, absl::ZeroDuration()};
  EngineOutputs outputs;
  outputs[connection].push_back(std::move(refusal));
  Deliver(std::move(outputs));
}

absl::Status RequestDesk::Admit(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
                                EngineRequest request, bool has_grammar, int64_t* sequence_id) {
  auto live = std::make_unique<LiveRequest>(connection, id, request, absl::Now(),
                                            options_.limits.max_context);
  SequenceRequest sequence =
      SequenceOf(std::move(request), *live, options_.page_tokens, options_.limits.media.has_blocks);
  std::lock_guard<std::mutex> lock(mutex_);
  FACET_RETURN_IF_ERROR(refusal_);
  FACET_RETURN_IF_ERROR(connection->status());  // closed meanwhile
  FACET_RETURN_IF_ERROR(CheckRoomLocked(*live));
  live->sequence_id = next_sequence_;
  next_sequence_ += live->n();
  live_sequences_ += live->n();
  waiting_tokens_ += live->prompt_tokens;
  media_bytes_ += live->media_bytes;
  *sequence_id = sequence.id = live->sequence_id;
  if (has_grammar) {
    held_back_[sequence.id] = std::move(sequence);
  } else {
    changes_.submitted.push_back(std::move(sequence));
  }
  open_[{connection.get(), id}] = live.get();
  live_.emplace(live->sequence_id, std::move(live));
  return absl::OkStatus();
}

void RequestDesk::Release(int64_t sequence_id, ThoughtGate::Start start,
                          GrammarQueue::Result grammar) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    auto held_back = held_back_.extract(sequence_id);
    const auto found = live_.find(sequence_id);
    if (found == live_.end()) {
      // Cancelled meanwhile; the loop counts what waits.
    } else if (!grammar.ok()) {
      changes_.refused.push_back({sequence_id, grammar.status()});
    } else {
      Equip(*found->second, *grammar, start);
      changes_.submitted.push_back(std::move(held_back.mapped()));
    }
  }
  on_change_();
}

void RequestDesk::Equip(LiveRequest& live, const std::shared_ptr<const CompiledGrammar>& grammar,
                        ThoughtGate::Start start) {
  live.not_enforced = grammar->not_enforced();
  metrics_->CountNotEnforced(live.not_enforced.size());
  for (int i = 0; i < live.n(); ++i) {
    LiveCompletion& completion = live.completions[static_cast<size_t>(i)];
    completion.grammar.emplace(grammar, start);
    // What the scheduler was told of it before it had it.
    if (!completion.open) changes_.cancelled.push_back(live.sequence_id + i);
    if (live.paused_since.has_value()) changes_.paused.push_back({live.sequence_id + i, true});
  }
}

absl::Status RequestDesk::CheckRoomLocked(const LiveRequest& live) const {
  absl::Status full;
  const int tokens = live.prompt_tokens;
  if (live_sequences_ + live.n() > options_.max_queue + options_.max_running) {
    full = absl::ResourceExhaustedError(
        absl::StrCat("the queue of the shard group is full: ", live_sequences_,
                     " sequences are running or waiting, at most ", options_.max_running, " and ",
                     options_.max_queue, "; this request has ", live.n()));
  } else if (options_.max_queue_tokens > 0 && waiting_tokens_ > 0 &&
             waiting_tokens_ + tokens > options_.max_queue_tokens) {
    // A prompt that alone is longer waits for nobody, so it may come in when none waits.
    full = absl::ResourceExhaustedError(absl::StrCat(
        "the queue of the shard group is full: prompts of ", waiting_tokens_,
        " tokens are waiting, at most ", options_.max_queue_tokens, "; this one has ", tokens));
  } else if (live.media_bytes > 0 &&
             media_bytes_ + live.media_bytes > options_.limits.media.max_bytes) {
    full = absl::ResourceExhaustedError(
        absl::StrCat("the shard group has no memory for more media: its requests have ",
                     media_bytes_, " bytes of soft tokens, at most ",
                     options_.limits.media.max_bytes, "; this one has ", live.media_bytes));
  }
  if (full.ok()) return full;
  return WithRetryAfter(full, std::clamp(recent_queue_time_, kLeastRetryAfter, kMostRetryAfter));
}

void RequestDesk::Cancel(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
                         std::optional<int> index) {
  EngineOutputs outputs;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    LiveRequest* const live = FindOpenLocked(connection.get(), id);
    if (live == nullptr) return;
    if (!index.has_value()) {
      EndLocked(*live, FinishReason::kCancelled, absl::OkStatus(), &outputs);
    } else {
      if (*index < 0 || *index >= live->n()) return;
      if (!live->completions[static_cast<size_t>(*index)].open) return;
      EngineOutput output;
      output.id = id;
      output.index = *index;
      output.finish = FinishOf(*live, FinishReason::kCancelled, absl::OkStatus());
      CloseLocked(*live, *index, *output.finish);
      changes_.cancelled.push_back(live->sequence_id + *index);
      outputs[connection].push_back(std::move(output));
    }
  }
  on_change_();
  Deliver(std::move(outputs));
}

void RequestDesk::SetPaused(const std::shared_ptr<EngineConnection>& connection, uint64_t id,
                            bool paused) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    LiveRequest* const live = FindOpenLocked(connection.get(), id);
    if (live == nullptr || live->paused_since.has_value() == paused) return;
    if (paused) {
      live->paused_since = absl::Now();
      pauses_.insert({*live->paused_since, live->sequence_id});
    } else {
      ResumeLocked(*live);
    }
    for (int i = 0; i < live->n(); ++i) changes_.paused.push_back({live->sequence_id + i, paused});
  }
  on_change_();
}

// ---- The end.

void RequestDesk::Refuse(const absl::Status& reason) {
  std::lock_guard<std::mutex> lock(mutex_);
  refusal_ = reason;
}

void RequestDesk::EndAll(const absl::Status& reason) {
  EngineOutputs outputs;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    outputs = EndOfLocked(nullptr, FinishReason::kError, reason);
  }
  on_change_();
  Deliver(std::move(outputs));
}

void RequestDesk::CloseIdleConnections() {
  std::vector<std::shared_ptr<EngineConnection>> done;
  absl::Status reason;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (refusal_.ok()) return;
    reason = refusal_;
    for (const auto& weak : connections_) {
      auto connection = weak.lock();
      if (connection && connection->open_requests() == 0) done.push_back(std::move(connection));
    }
  }
  for (const auto& connection : done) connection->Close(reason);
}

void RequestDesk::Fail(const absl::Status& reason) {
  EngineOutputs outputs;
  std::vector<std::shared_ptr<EngineConnection>> connections;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    refusal_ = reason;
    outputs = EndOfLocked(nullptr, FinishReason::kError, reason);
    for (const auto& weak : connections_) {
      if (auto connection = weak.lock()) connections.push_back(std::move(connection));
    }
  }
  Deliver(std::move(outputs));
  for (const auto& connection : connections) connection->Close(reason);
}

bool RequestDesk::idle() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return live_.empty();
}

// ---- The step loop.

DeskChanges RequestDesk::TakeChanges() {
  std::lock_guard<std::mutex> lock(mutex_);
  DeskChanges changes = std::exchange(changes_, {});
  for (const int64_t sequence_id : changes.cancelled) {
    const auto found = FindLocked(sequence_id);
    if (found == live_.end()) continue;
    LiveRequest& live = *found->second;
    live.completions[static_cast<size_t>(sequence_id - live.sequence_id)].held = false;
    if (!live.held()) ForgetLocked(found);
  }
  // Requests that never came to the scheduler.
  const auto forgotten = [this](const SequenceRequest& s) { return live_.count(s.id) == 0; };
  changes.submitted.erase(
      std::remove_if(changes.submitted.begin(), changes.submitted.end(), forgotten),
      changes.submitted.end());
  return changes;
}

std::pair<LiveRequest*, int> RequestDesk::Find(int64_t sequence_id) const {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = FindLocked(sequence_id);
  if (found == live_.end()) return {nullptr, 0};
  const auto index = static_cast<int>(sequence_id - found->first);
  if (!found->second->completions[static_cast<size_t>(index)].held) return {nullptr, 0};
  return {found->second.get(), index};
}

void RequestDesk::NoteStarted(const std::vector<StartedRequest>& started, EngineOutputs* outputs) {
  if (started.empty()) return;
  const absl::Time now = absl::Now();
  std::lock_guard<std::mutex> lock(mutex_);
  for (const StartedRequest& start : started) {
    const auto found = FindLocked(start.id);
    if (found == live_.end() || found->second->started.has_value()) continue;
    LiveRequest& live = *found->second;
    live.started = now;
    EndWaitLocked(live);
    recent_queue_time_ = now - live.arrival;
    metrics_->ObserveStart(recent_queue_time_, live.prompt_tokens);
    if (!live.open()) continue;
    EngineOutput output;
    output.id = live.id;
    output.started = EngineStart{start.cached_tokens, recent_queue_time_, live.not_enforced};
    (*outputs)[live.connection].push_back(std::move(output));
  }
}

void RequestDesk::Report(LiveRequest* live, EngineOutput output, EngineOutputs* outputs) {
  std::lock_guard<std::mutex> lock(mutex_);
  output.id = live->id;
  LiveCompletion& completion = live->completions[static_cast<size_t>(output.index)];
  live->has_tokens |= !output.tokens.empty();
  const bool open = output.prompt.empty() ? completion.open : live->open();
  if (output.finish.has_value()) {
    if (output.finish->reason == FinishReason::kError && !live->has_tokens) {
      EndLocked(*live, FinishReason::kError, output.finish->status, outputs);
      return;  // its other completions are told to the scheduler like those of a cancelled one
    }
    completion.held = false;
    output.finish->queued = FinishOf(*live, FinishReason::kNone, absl::OkStatus()).queued;
    if (open) CloseLocked(*live, output.index, *output.finish);
  }
  const bool forget = output.finish.has_value() && !live->held();
  if (open) (*outputs)[live->connection].push_back(std::move(output));
  if (forget) ForgetLocked(live_.find(live->sequence_id));
}

void RequestDesk::Drop(int64_t sequence_id, const absl::Status& reason, EngineOutputs* outputs) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = FindLocked(sequence_id);
  if (found == live_.end()) return;
  EndLocked(*found->second, FinishReason::kError, reason, outputs);
  ForgetLocked(found);
}

void RequestDesk::EndLongPauses(absl::Time now) {
  EngineOutputs outputs;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    while (!pauses_.empty() && now - pauses_.begin()->first >= options_.max_pause) {
      LiveRequest& live = *live_.at(pauses_.begin()->second);
      const absl::Duration paused = absl::Trunc(now - *live.paused_since, absl::Milliseconds(1));
      EndLocked(
          live, FinishReason::kError,
          absl::ResourceExhaustedError(absl::StrCat(
              "the reader is too slow: the request was paused for ", absl::FormatDuration(paused),
              ", at most ", absl::FormatDuration(options_.max_pause), " are allowed")),
          &outputs);
    }
  }
  Deliver(std::move(outputs));
}

absl::Time RequestDesk::NextExpiry() const {
  std::lock_guard<std::mutex> lock(mutex_);
  absl::Time next = absl::InfiniteFuture();
  if (!pauses_.empty()) next = pauses_.begin()->first + options_.max_pause;
  for (const auto& [sequence_id, live] : live_) {
    // Those whose grammars are being compiled end once that is done.
    if (held_back_.count(sequence_id) == 0) next = std::min(next, live->deadline);
  }
  return next;
}

void RequestDesk::Deliver(EngineOutputs outputs) {
  for (auto& [connection, of_connection] : outputs) {
    if (connection->Push(std::move(of_connection))) continue;
    const absl::Status slow = absl::ResourceExhaustedError(
        absl::StrCat("the reader is too slow: more than ", options_.max_buffered_outputs,
                     " outputs wait to be read"));
    EngineOutputs finishes;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      finishes = EndOfLocked(connection.get(), FinishReason::kError, slow);
    }
    on_change_();
    for (auto& [same, last] : finishes) same->Push(std::move(last));
  }
}

int RequestDesk::submitted() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int>(changes_.submitted.size() + held_back_.size());
}

// ---- With mutex_ held.

RequestDesk::Live::const_iterator RequestDesk::FindLocked(int64_t sequence_id) const {
  auto after = live_.upper_bound(sequence_id);
  if (after == live_.begin()) return live_.end();
  --after;
  return sequence_id < after->first + after->second->n() ? after : live_.end();
}

LiveRequest* RequestDesk::FindOpenLocked(const EngineConnection* connection, uint64_t id) const {
  const auto found = open_.find({connection, id});
  return found == open_.end() ? nullptr : found->second;
}

void RequestDesk::EndWaitLocked(LiveRequest& live) {
  if (std::exchange(live.waiting, false)) waiting_tokens_ -= live.prompt_tokens;
}

void RequestDesk::ResumeLocked(LiveRequest& live) {
  if (!live.paused_since.has_value()) return;
  pauses_.erase({*live.paused_since, live.sequence_id});
  live.paused_since.reset();
}

EngineFinish RequestDesk::FinishOf(const LiveRequest& live, FinishReason reason,
                                   const absl::Status& status) const {
  return {reason, status, live.started ? *live.started - live.arrival : absl::ZeroDuration()};
}

void RequestDesk::CloseLocked(LiveRequest& live, int index, const EngineFinish& finish) {
  live.completions[static_cast<size_t>(index)].open = false;
  if (live.open()) return;
  metrics_->CountFinish(finish.reason, finish.status);
  EndWaitLocked(live);
  ResumeLocked(live);
  open_.erase({live.connection.get(), live.id});
}

void RequestDesk::EndLocked(LiveRequest& live, FinishReason reason, const absl::Status& status,
                            EngineOutputs* outputs) {
  const bool as_one = reason == FinishReason::kError && !live.has_tokens;
  EngineOutput output;
  output.id = live.id;
  output.finish = FinishOf(live, reason, status);
  if (as_one && live.open()) {
    output.index = EngineOutput::kAllCompletions;
    (*outputs)[live.connection].push_back(output);
  }
  for (int i = 0; i < live.n(); ++i) {
    if (!live.completions[static_cast<size_t>(i)].open) continue;
    CloseLocked(live, i, *output.finish);
    changes_.cancelled.push_back(live.sequence_id + i);
    output.index = i;
    if (!as_one) (*outputs)[live.connection].push_back(output);
  }
}

EngineOutputs RequestDesk::EndOfLocked(const EngineConnection* connection, FinishReason reason,
                                       const absl::Status& status) {
  EngineOutputs outputs;
  for (auto& [sequence_id, live] : live_) {
    if (connection != nullptr && live->connection.get() != connection) continue;
    EndLocked(*live, reason, status, &outputs);
  }
  return outputs;
}

void RequestDesk::ForgetLocked(Live::const_iterator live) {
  live_sequences_ -= live->second->n();
  media_bytes_ -= live->second->media_bytes;
  live_.erase(live);
}

}  // namespace facet
