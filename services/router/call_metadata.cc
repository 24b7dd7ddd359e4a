#include "services/router/call_metadata.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "base/retry_after.h"
#include "services/serving/status_to_grpc.h"

namespace facet {
namespace {

constexpr char kRequestId[] = "x-request-id";
constexpr char kTraceparent[] = "traceparent";
constexpr char kRetryPushback[] = "grpc-retry-pushback-ms";

absl::string_view Find(const grpc::ServerContextBase& context, const char* key) {
  const auto& metadata = context.client_metadata();
  const auto it = metadata.find(key);
  if (it == metadata.end()) return {};
  return absl::string_view(it->second.data(), it->second.size());
}

}  // namespace

RequestContext TakeRequestContext(grpc::ServerContextBase& context) {
  RequestContext out;
  out.arrival = absl::Now();
  out.request_id = RequestIdOrNew(Find(context, kRequestId));
  context.AddInitialMetadata(kRequestId, out.request_id);
  const absl::string_view traceparent = Find(context, kTraceparent);
  if (IsTraceparent(traceparent)) {
    out.traceparent = std::string(traceparent);
    context.AddInitialMetadata(kTraceparent, out.traceparent);
  }
  const std::chrono::system_clock::time_point deadline = context.deadline();
  if (deadline != std::chrono::system_clock::time_point::max()) {
    out.deadline = absl::FromChrono(deadline);
  }
  return out;
}

grpc::Status FinalStatus(const absl::Status& status, grpc::ServerContextBase& context) {
  if (const auto after = RetryAfter(status)) {
    context.AddTrailingMetadata(kRetryPushback, absl::StrCat(absl::ToInt64Milliseconds(*after)));
  }
  return ToGrpcStatus(status, context);
}

}  // namespace facet
