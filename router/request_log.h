#ifndef FACET_ROUTER_REQUEST_LOG_H_
#define FACET_ROUTER_REQUEST_LOG_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "router/request_context.h"

namespace facet {

// What is known of a request when it has ended. Never its text.
struct RequestRecord {
  std::string method;  // "Generate"
  RequestContext context;
  absl::Status status;
  std::string model;
  std::string group;          // the shard group that served it; empty: none did
  std::string finish_reason;  // as the proto names it; empty: none
  int completions = 0;        // of the one prompt
  int prompt_tokens = 0;
  int cached_tokens = 0;  // of the prompt
  int completion_tokens = 0;
  int reasoning_tokens = 0;  // of completion_tokens
  int tool_calls = 0;
  int attempts = 0;  // groups that it was sent to
  absl::Duration total;
  std::optional<absl::Duration> time_to_first_token;
  absl::Duration queue;  // in the shard group, as far as it said so
};

// One line of JSON, without the line's end:
//   time, method, request_id, trace_id, code, message, model, group, finish_reason, completions,
//   prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, tool_calls, attempts,
//   total_seconds, time_to_first_token_seconds, queue_seconds
// What is empty or unset is left out, and of reasoning_tokens and tool_calls 0.
std::string FormatRequestRecord(const RequestRecord& record, absl::Time now);

// Where the lines go. Must be thread-safe.
using RequestLog = std::function<void(const RequestRecord&)>;

// Writes each line to stdout, whole.
void LogRequestToStdout(const RequestRecord& record);

}  // namespace facet

#endif  // FACET_ROUTER_REQUEST_LOG_H_
