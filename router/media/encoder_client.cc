#include "router/media/encoder_client.h"

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/retry_after.h"
#include "grpcpp/grpcpp.h"
#include "router/callback_threads.h"

namespace facet {
namespace {

constexpr int kMaxReconnectBackoffMs = 1000;

bool NamesMany(const std::string& address) { return absl::StartsWith(address, "dns:"); }

std::shared_ptr<grpc::Channel> Connect(const std::string& address, absl::Duration ping_timeout) {
  KeepCallbackThreads();
  const auto ping_ms = static_cast<int>(absl::ToInt64Milliseconds(ping_timeout / 2));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // from our own encoders
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectBackoffMs);
  // A process that hangs keeps its connections; only a ping tells.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, ping_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, ping_ms);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // as many as the time asks for
  if (NamesMany(address)) {
    arguments.SetLoadBalancingPolicyName("round_robin");
    arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, kMaxReconnectBackoffMs);
  }
  // Its own connections: channels with equal arguments would share them.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

bool IsEncodersOwnState(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
}

// The call's status as a caller of the router is to read it.
absl::Status ToStatus(const std::string& encoder, const absl::Status& status,
                      const grpc::ClientContext& context) {
  if (absl::IsUnavailable(status) || absl::IsFailedPrecondition(status)) {
    return absl::Status(status.code(),
                        absl::StrCat("the ", encoder, " cannot be used: ", status.message()));
  }
  if (absl::IsDeadlineExceeded(status)) {
    return absl::DeadlineExceededError(
        absl::StrCat("the deadline passed while the ", encoder, " was at work"));
  }
  if (absl::IsCancelled(status)) return absl::CancelledError("the caller cancelled");
  const auto& trailing = context.GetServerTrailingMetadata();
  const auto found = trailing.find("retry-after-ms");
  int64_t ms = 0;
  if (found != trailing.end() &&
      absl::SimpleAtoi(absl::string_view(found->second.data(), found->second.size()), &ms)) {
    return WithRetryAfter(status, absl::Milliseconds(ms));
  }
  return status;
}

}  // namespace

// One call on the wire.
template <typename Service, typename Request, typename Response>
struct EncoderClient<Service, Request, Response>::Call {
  grpc::ClientContext context;
  Response response;
  std::optional<std::stop_callback<std::function<void()>>> on_cancel;
};

template <typename Service, typename Request, typename Response>
EncoderClient<Service, Request, Response>::EncoderClient(std::string name,
                                                         const std::vector<std::string>& addresses,
                                                         absl::Duration ping_timeout,
                                                         MediaMetrics* metrics)
    : name_(std::move(name)), metrics_(*metrics), choice_(addresses.size()) {
  for (const std::string& address : addresses) {
    replicas_.push_back(
        {address, Service::NewStub(Connect(address, ping_timeout)), NamesMany(address)});
  }
}

template <typename Service, typename Request, typename Response>
void EncoderClient<Service, Request, Response>::Encode(std::shared_ptr<const Request> request,
                                                       absl::Time deadline,
                                                       std::stop_token cancelled, Done done) {
  FACET_CHECK(!replicas_.empty()) << "no " << name_;
  auto task = std::make_shared<Task>();
  task->request = std::move(request);
  task->deadline = deadline;
  task->cancelled = std::move(cancelled);
  task->done = std::move(done);
  EncodeOn(choice_.Pick(absl::Now()), /*may_retry=*/true, std::move(task));
}

template <typename Service, typename Request, typename Response>
void EncoderClient<Service, Request, Response>::EncodeOn(size_t replica, bool may_retry,
                                                         std::shared_ptr<const Task> task) {
  const auto call = std::make_shared<Call>();
  call->context.set_deadline(absl::ToChronoTime(task->deadline));
  replicas_[replica].stub->async()->Encode(
      &call->context, task->request.get(), &call->response,
      [this, call, replica, may_retry, task](const grpc::Status& status) {
        OnDone(replica, may_retry, task, *call,
               absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                            status.error_message()));
      });
  // Weak, since the call owns it; held while it cancels, since that may end the call.
  call->on_cancel.emplace(task->cancelled, [weak = std::weak_ptr<Call>(call)] {
    if (const auto alive = weak.lock()) alive->context.TryCancel();
  });
}

template <typename Service, typename Request, typename Response>
void EncoderClient<Service, Request, Response>::OnDone(size_t replica, bool may_retry,
                                                       const std::shared_ptr<const Task>& task,
                                                       Call& call, const absl::Status& status) {
  const absl::Time now = absl::Now();
  if (absl::IsUnavailable(status)) {
    choice_.Failed(replica, now);
  } else if (!absl::IsDeadlineExceeded(status) && !absl::IsCancelled(status)) {
    choice_.Succeeded(replica);
  }
  const bool has_other = replicas_.size() > 1 || replicas_[replica].many;
  if (IsEncodersOwnState(status) && may_retry && has_other && !task->cancelled.stop_requested()) {
    metrics_.CountRetry(name_);
    return EncodeOn(choice_.Pick(now, replica), /*may_retry=*/false, task);
  }
  if (status.ok()) return task->done(std::move(call.response));
  const std::string encoder = absl::StrCat(name_, " at ", replicas_[replica].address);
  task->done(ToStatus(encoder, status, call.context));
}

template class EncoderClient<internal::VisionEncoder, internal::EncodeVisionRequest,
                             internal::EncodeVisionResponse>;
template class EncoderClient<internal::AudioEncoder, internal::EncodeAudioRequest,
                             internal::EncodeAudioResponse>;

}  // namespace facet
