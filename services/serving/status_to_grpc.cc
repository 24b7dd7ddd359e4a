#include "services/serving/status_to_grpc.h"

#include <cstdint>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/retry_after.h"

namespace facet {

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContextBase& context) {
  if (const auto after = RetryAfter(status)) {
    context.AddTrailingMetadata(kRetryAfterMetadata,
                                absl::StrCat(absl::ToInt64Milliseconds(*after)));
  }
  return ToGrpcStatus(status);
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

absl::Status FromGrpcStatus(const grpc::Status& status, const grpc::ClientContext& context) {
  absl::Status out = FromGrpcStatus(status);
  if (out.ok()) return out;
  const auto& metadata = context.GetServerTrailingMetadata();
  const auto it = metadata.find(kRetryAfterMetadata);
  int64_t ms = 0;
  if (it != metadata.end() &&
      absl::SimpleAtoi(absl::string_view(it->second.data(), it->second.size()), &ms) && ms > 0) {
    out = WithRetryAfter(std::move(out), absl::Milliseconds(ms));
  }
  return out;
}

}  // namespace facet
