#ifndef FACET_ROUTER_REQUEST_CONTEXT_H_
#define FACET_ROUTER_REQUEST_CONTEXT_H_

#include <stop_token>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace facet {

// What a call says about itself, beside its message.
struct RequestContext {
  std::string request_id;
  std::string traceparent;  // W3C Trace Context; empty: none
  absl::Time deadline = absl::InfiniteFuture();
  absl::Time arrival;
  std::stop_token cancelled;  // once nobody waits for the answer any more
};

// The caller's `x-request-id` if it can be one (1 to 128 visible ASCII characters), else a new id
// of 32 hexadecimal digits.
std::string RequestIdOrNew(absl::string_view from_caller);

// A `traceparent` as W3C Trace Context 1.0 defines it (2 - 32 - 16 - 2 lower-case hexadecimal
// digits, version ff and all-zero ids excluded); longer ones are for later versions than 00.
bool IsTraceparent(absl::string_view text);

// Its trace id: 32 digits; empty if `traceparent` is.
absl::string_view TraceId(absl::string_view traceparent);

}  // namespace facet

#endif  // FACET_ROUTER_REQUEST_CONTEXT_H_
