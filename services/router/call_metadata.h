#ifndef FACET_SERVICES_ROUTER_CALL_METADATA_H_
#define FACET_SERVICES_ROUTER_CALL_METADATA_H_

// The metadata of public calls: `x-request-id` and `traceparent` come in and are echoed in the
// initial metadata; statuses go out with the time to come again.

#include "absl/status/status.h"
#include "grpcpp/grpcpp.h"
#include "router/request_context.h"

namespace facet {

// Reads a call's metadata and deadline, and queues the echo (nothing is sent yet). A request id
// that cannot be one is replaced, a traceparent that is none is left out.
RequestContext TakeRequestContext(grpc::ServerContextBase& context);

// The call's status, with trailing metadata: `retry-after-ms`, and `grpc-retry-pushback-ms` for
// clients whose gRPC retries by itself, where the status says when to come again.
grpc::Status FinalStatus(const absl::Status& status, grpc::ServerContextBase& context);

}  // namespace facet

#endif  // FACET_SERVICES_ROUTER_CALL_METADATA_H_
