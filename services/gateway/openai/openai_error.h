#ifndef FACET_SERVICES_GATEWAY_OPENAI_OPENAI_ERROR_H_
#define FACET_SERVICES_GATEWAY_OPENAI_OPENAI_ERROR_H_

// Statuses in the shape in which OpenAI's API reports errors:
//   {"error": {"message": ..., "type": ..., "param": the field or null, "code": ...}}

#include "absl/status/status.h"
#include "services/gateway/http/http_message.h"
#include "services/gateway/openai/json_fields.h"

namespace facet {

// 400 INVALID_ARGUMENT, FAILED_PRECONDITION, OUT_OF_RANGE; 401 UNAUTHENTICATED; 403
// PERMISSION_DENIED; 404 NOT_FOUND; 408 DEADLINE_EXCEEDED; 409 ALREADY_EXISTS, ABORTED; 429
// RESOURCE_EXHAUSTED; 499 CANCELLED; 501 UNIMPLEMENTED; 503 UNAVAILABLE; 500 the others.
int HttpCode(const absl::Status& status);

Json ErrorBody(const absl::Status& status);

// With `retry-after` (whole seconds, rounded up) and `retry-after-ms` where it makes sense to come
// again: 429, if the status says when (base/retry_after.h), and 503.
HttpResponse ErrorResponse(const absl::Status& status);

// The same for what has an HTTP code but no status: 404 of a path, 405, 413, ...
HttpResponse ErrorResponse(int code, const std::string& message);

// gRPC says of a message that is over the receiver's limit that resources are exhausted. Coming
// again would not help: INVALID_ARGUMENT then. Every other status stays as it is.
absl::Status WithoutFalseRetry(absl::Status status);

// A status of the router: what is wrong with a request also carries the field (router_fields.h).
absl::Status WithRouterField(absl::Status status, const std::string& prompt_field);

// A JSON text that is valid whatever bytes the strings hold.
std::string Dump(const Json& json);

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_OPENAI_OPENAI_ERROR_H_
