#include "router/shard_client.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "router/callback_threads.h"

namespace facet {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address) {
  KeepCallbackThreads();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // from our own leader
  arguments.SetMaxSendMessageSize(-1);
  // A fresh connection for each attempt: one that hangs must not be shared with the next.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

absl::Status ToAbsl(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

std::string Describe(const absl::Status& status) {
  return status.message().empty() ? absl::StatusCodeToString(status.code())
                                  : std::string(status.message());
}

}  // namespace

ShardClient::ShardClient(Options options, std::function<void()> on_change)
    : options_(std::move(options)),
      on_change_(std::move(on_change)),
      status_(absl::UnavailableError("not connected yet")),
      thread_([this] { Run(); }) {}

ShardClient::~ShardClient() { Stop(); }

void ShardClient::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    if (pending_call_ != nullptr) pending_call_->TryCancel();
    if (stream_ != nullptr) stream_->Cancel();
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

absl::StatusOr<uint64_t> ShardClient::Submit(internal::SubmitRequest request,
                                             std::shared_ptr<ShardSink> sink) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!status_.ok() || stream_ == nullptr) {
    return absl::UnavailableError(absl::StrCat("shard group ", options_.address, " is not ready"));
  }
  const uint64_t id = next_id_++;
  const int64_t tokens = request.prompt_size();
  const int completions = std::max(1, request.n());
  internal::RouterFrame frame;
  *frame.mutable_submit() = std::move(request);
  frame.mutable_submit()->set_id(id);
  FACET_RETURN_IF_ERROR(CheckSizeLocked(frame));
  FACET_RETURN_IF_ERROR(stream_->Send(std::move(frame)));
  // The engine may answer already, but OnFrame waits for the mutex.
  requests_.emplace(id, Request{std::move(sink), tokens, completions});
  load_ += tokens;
  return id;
}

absl::Status ShardClient::CheckSizeLocked(const internal::RouterFrame& frame) const {
  const int64_t most = info_.has_value() ? info_->max_request_bytes() : 0;
  const int64_t bytes = static_cast<int64_t>(frame.ByteSizeLong());
  if (most <= 0 || bytes <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the request with the soft tokens of its media has ", bytes,
                   " bytes; shard groups take at most ", most));
}

void ShardClient::Cancel(uint64_t id, std::optional<int> index) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto it = requests_.find(id);
  if (it == requests_.end()) return;
  internal::RouterFrame frame;
  frame.mutable_cancel()->set_id(id);
  if (!EndLocked(it, index.value_or(-1))) frame.mutable_cancel()->set_index(*index);
  // A stream that has ended has cancelled it already.
  if (stream_ != nullptr) stream_->Send(std::move(frame)).IgnoreError();
}

void ShardClient::Pause(uint64_t id, bool paused) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (requests_.count(id) == 0 || stream_ == nullptr) return;
  internal::RouterFrame frame;
  frame.mutable_pause()->set_id(id);
  frame.mutable_pause()->set_paused(paused);
  stream_->Send(std::move(frame)).IgnoreError();
}

bool ShardClient::EndLocked(std::map<uint64_t, Request>::iterator request, int index) {
  Request& state = request->second;
  if (index >= 0) state.ended.insert(index);
  if (index >= 0 && state.ended.size() < static_cast<size_t>(state.completions)) return false;
  load_ -= state.tokens;
  requests_.erase(request);
  return true;
}

bool ShardClient::ready() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return status_.ok();
}

int64_t ShardClient::load() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return load_;
}

int ShardClient::requests() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int>(requests_.size());
}

std::optional<internal::EngineInfo> ShardClient::info() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return info_;
}

absl::Status ShardClient::status() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return status_;
}

void ShardClient::Run() {
  absl::Duration backoff = options_.min_backoff;
  for (;;) {
    const absl::Time began = absl::Now();
    const absl::Status end = RunSession();
    SetStatus(end);
    // One that held for a while is likely to be back soon.
    if (absl::Now() - began > options_.max_backoff) backoff = options_.min_backoff;
    if (!Sleep(backoff)) return;
    backoff = std::min(2 * backoff, options_.max_backoff);
  }
}

// From connecting to the loss of the connection; the result says why it ended, never OK.
absl::Status ShardClient::RunSession() {
  const std::shared_ptr<grpc::Channel> channel = MakeChannel(options_.address);
  const auto health = Health::NewStub(channel);
  const auto engine = internal::ShardEngine::NewStub(channel);
  FACET_RETURN_IF_ERROR(WaitUntilServing(health.get()));
  FACET_ASSIGN_OR_RETURN(const internal::EngineInfo info, GetInfo(engine.get()));
  FACET_RETURN_IF_ERROR(CheckModel(info));
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return absl::CancelledError("the router stops");
    info_ = info;
    stream_lost_ = false;
    stream_done_ = false;
    stream_end_ = absl::OkStatus();
    stream_ = ShardStream::Open(engine.get(), options_.max_queued_frames,
                                {[this](const internal::EngineFrame& frame) { OnFrame(frame); },
                                 [this](absl::Status status) { OnStreamEnd(std::move(status)); }});
  }
  SetStatus(absl::OkStatus());
  WatchStream(health.get());
  std::unique_ptr<ShardStream> ended;  // destroyed without the lock
  std::lock_guard<std::mutex> lock(mutex_);
  ended = std::move(stream_);
  return stream_end_;
}

absl::Status ShardClient::WaitUntilServing(Health::Stub* health) {
  for (;;) {
    FACET_ASSIGN_OR_RETURN(const bool serving, Probe(health));
    if (serving) return absl::OkStatus();
    SetStatus(absl::UnavailableError("it is loading or draining"));
    if (!Sleep(options_.probe_interval)) return absl::CancelledError("the router stops");
  }
}

// Until the stream has ended.
void ShardClient::WatchStream(Health::Stub* health) {
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait_for(lock, absl::ToChronoNanoseconds(options_.probe_interval),
                        [this] { return stream_done_; });
      if (stream_done_) return;
    }
    const absl::StatusOr<bool> serving = Probe(health);
    if (serving.ok()) {
      SetStatus(*serving ? absl::OkStatus() : absl::UnavailableError("it is draining"));
      continue;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    if (!stream_lost_ && !stopping_) stream_end_ = serving.status();
    stream_->Cancel();
    changed_.wait(lock, [this] { return stream_done_; });
    return;
  }
}

template <typename Call>
absl::Status ShardClient::CallWithTimeout(Call call) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.probe_timeout));
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return absl::CancelledError("the router stops");
    pending_call_ = &context;
  }
  const grpc::Status status = call(&context);
  std::lock_guard<std::mutex> lock(mutex_);
  pending_call_ = nullptr;
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::UnavailableError(
        absl::StrCat("no answer within ", absl::FormatDuration(options_.probe_timeout)));
  }
  return ToAbsl(status);
}

absl::StatusOr<bool> ShardClient::Probe(Health::Stub* health) {
  HealthCheckRequest request;
  request.set_service(internal::ShardEngine::service_full_name());
  HealthCheckResponse response;
  FACET_RETURN_IF_ERROR(CallWithTimeout(
      [&](grpc::ClientContext* context) { return health->Check(context, request, &response); }));
  return response.status() == HealthCheckResponse::SERVING;
}

absl::StatusOr<internal::EngineInfo> ShardClient::GetInfo(internal::ShardEngine::Stub* engine) {
  internal::EngineInfo info;
  FACET_RETURN_IF_ERROR(CallWithTimeout([&](grpc::ClientContext* context) {
    return engine->GetInfo(context, internal::GetInfoRequest(), &info);
  }));
  return info;
}

absl::Status ShardClient::CheckModel(const internal::EngineInfo& info) const {
  const ExpectedModel& expected = options_.expected;
  const auto refuse = [](const char* what, const auto& theirs, const auto& ours) {
    return absl::FailedPreconditionError(absl::StrCat("it serves another model: ", what, " is ",
                                                      theirs, ", the router's is ", ours));
  };
  if (info.model_type() != expected.model_type) {
    return refuse("model_type", info.model_type(), expected.model_type);
  }
  if (info.vocab_size() != expected.vocab_size) {
    return refuse("vocab_size", info.vocab_size(), expected.vocab_size);
  }
  if (!expected.fingerprint.empty() && info.fingerprint() != expected.fingerprint) {
    return refuse("the checkpoint's fingerprint", info.fingerprint(), expected.fingerprint);
  }
  if (info.context_length() < 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("its context length is ", info.context_length()));
  }
  return absl::OkStatus();
}

bool ShardClient::Sleep(absl::Duration duration) {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoNanoseconds(duration), [this] { return stopping_; });
  return !stopping_;
}

void ShardClient::SetStatus(absl::Status status) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (status.ok() && stream_lost_) return;
    if (!SetStatusLocked(std::move(status))) return;
  }
  on_change_();
}

bool ShardClient::SetStatusLocked(absl::Status status) {
  if (status.ok() == status_.ok() && status.message() == status_.message()) return false;
  status_ = std::move(status);
  if (stopping_) return true;
  if (status_.ok()) {
    FACET_LOG(Info) << "shard group " << options_.address << " is ready";
  } else {
    FACET_LOG(Warning) << "shard group " << options_.address
                       << " is not ready: " << Describe(status_);
  }
  return true;
}

void ShardClient::OnFrame(const internal::EngineFrame& frame) {
  std::vector<std::pair<std::shared_ptr<ShardSink>, const internal::SequenceOutput*>> deliveries;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const internal::SequenceOutput& output : frame.outputs()) {
      const auto it = requests_.find(output.id());
      if (it == requests_.end()) continue;  // cancelled here a moment ago
      deliveries.emplace_back(it->second.sink, &output);
      it->second.tokens += output.tokens_size();
      load_ += output.tokens_size();
      if (output.has_finish()) EndLocked(it, output.index());
    }
  }
  for (const auto& [sink, output] : deliveries) sink->OnOutput(*output);
}

void ShardClient::OnStreamEnd(absl::Status status) {
  std::map<uint64_t, Request> lost;
  absl::Status reason;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    lost.swap(requests_);
    load_ = 0;
    if (stream_end_.ok()) {  // else the probe has said why
      stream_end_ = status.ok() ? absl::UnavailableError("it closed the stream") : status;
    }
    reason = absl::UnavailableError(
        absl::StrCat("shard group ", options_.address, " was lost: ", Describe(stream_end_)));
    stream_lost_ = true;
    SetStatusLocked(absl::UnavailableError(Describe(stream_end_)));
  }
  on_change_();
  for (auto& [id, request] : lost) request.sink->OnLost(reason);
  // Last: stream and client may be gone as soon as the thread sees it.
  std::lock_guard<std::mutex> lock(mutex_);
  stream_done_ = true;
  changed_.notify_all();
}

}  // namespace facet
