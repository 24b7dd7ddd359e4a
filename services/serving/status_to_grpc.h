#ifndef FACET_SERVICES_SERVING_STATUS_TO_GRPC_H_
#define FACET_SERVICES_SERVING_STATUS_TO_GRPC_H_

// The one place where absl::Status becomes grpc::Status and back. The codes are the same numbers.

#include "absl/status/status.h"
#include "grpcpp/grpcpp.h"

namespace facet {

// Trailing metadata of RESOURCE_EXHAUSTED: when to come again (base/retry_after.h).
inline constexpr char kRetryAfterMetadata[] = "retry-after-ms";

grpc::Status ToGrpcStatus(const absl::Status& status);

// The same, and adds the trailing metadata that the status asks for. `context` is the call's.
grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContextBase& context);

absl::Status FromGrpcStatus(const grpc::Status& status);

// The same, with retry-after from the trailing metadata of a call that has finished.
absl::Status FromGrpcStatus(const grpc::Status& status, const grpc::ClientContext& context);

}  // namespace facet

#endif  // FACET_SERVICES_SERVING_STATUS_TO_GRPC_H_
