#include "router/media/encoder_client.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/retry_after.h"
#include "grpcpp/grpcpp.h"

namespace facet {
namespace {

constexpr int kMaxReconnectBackoffMs = 1000;

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);  // from our own encoders
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectBackoffMs);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

absl::Status ToStatus(const std::string& encoder, const grpc::Status& status,
                      const grpc::ClientContext& context) {
  absl::Status out(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  if (absl::IsUnavailable(out)) {
    return absl::UnavailableError(
        absl::StrCat("the ", encoder, " cannot be used: ", out.message()));
  }
  if (absl::IsDeadlineExceeded(out)) {
    return absl::DeadlineExceededError(
        absl::StrCat("the deadline passed while the ", encoder, " was at work"));
  }
  const auto& trailing = context.GetServerTrailingMetadata();
  const auto found = trailing.find("retry-after-ms");
  int64_t ms = 0;
  if (found != trailing.end() &&
      absl::SimpleAtoi(absl::string_view(found->second.data(), found->second.size()), &ms)) {
    out = WithRetryAfter(std::move(out), absl::Milliseconds(ms));
  }
  return out;
}

}  // namespace

template <typename Service, typename Request, typename Response>
EncoderClient<Service, Request, Response>::EncoderClient(std::string name,
                                                         const std::vector<std::string>& addresses)
    : name_(std::move(name)) {
  for (const std::string& address : addresses) {
    replicas_.push_back({address, Service::NewStub(Connect(address))});
  }
}

template <typename Service, typename Request, typename Response>
void EncoderClient<Service, Request, Response>::Encode(std::shared_ptr<const Request> request,
                                                       absl::Time deadline, Done done) {
  FACET_CHECK(!replicas_.empty()) << "no " << name_;
  const bool may_retry = replicas_.size() > 1;
  EncodeOn(turn_++ % replicas_.size(), may_retry, std::move(request), deadline, std::move(done));
}

template <typename Service, typename Request, typename Response>
void EncoderClient<Service, Request, Response>::EncodeOn(size_t replica, bool may_retry,
                                                         std::shared_ptr<const Request> request,
                                                         absl::Time deadline, Done done) {
  struct Call {
    grpc::ClientContext context;
    Response response;
  };
  const auto call = std::make_shared<Call>();
  call->context.set_deadline(absl::ToChronoTime(deadline));
  replicas_[replica].stub->async()->Encode(
      &call->context, request.get(), &call->response,
      [this, call, replica, may_retry, request, deadline,
       done = std::move(done)](const grpc::Status& status) {
        if (status.error_code() == grpc::StatusCode::UNAVAILABLE && may_retry) {
          return EncodeOn((replica + 1) % replicas_.size(), false, request, deadline, done);
        }
        if (status.ok()) return done(std::move(call->response));
        const std::string encoder = absl::StrCat(name_, " at ", replicas_[replica].address);
        done(ToStatus(encoder, status, call->context));
      });
}

template class EncoderClient<internal::VisionEncoder, internal::EncodeVisionRequest,
                             internal::EncodeVisionResponse>;
template class EncoderClient<internal::AudioEncoder, internal::EncodeAudioRequest,
                             internal::EncodeAudioResponse>;

}  // namespace facet
