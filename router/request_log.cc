#include "router/request_log.h"

#include <unistd.h>

#include "absl/time/clock.h"
#include "nlohmann/json.hpp"

namespace facet {

std::string FormatRequestRecord(const RequestRecord& record, absl::Time now) {
  nlohmann::ordered_json json;
  const auto add_text = [&json](const char* key, const std::string& value) {
    if (!value.empty()) json[key] = value;
  };
  json["time"] = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", now, absl::UTCTimeZone());
  json["method"] = record.method;
  json["request_id"] = record.context.request_id;
  add_text("trace_id", std::string(TraceId(record.context.traceparent)));
  json["code"] = absl::StatusCodeToString(record.status.code());
  add_text("message", std::string(record.status.message()));
  add_text("model", record.model);
  add_text("group", record.group);
  add_text("finish_reason", record.finish_reason);
  json["completions"] = record.completions;
  json["prompt_tokens"] = record.prompt_tokens;
  json["cached_tokens"] = record.cached_tokens;
  json["completion_tokens"] = record.completion_tokens;
  if (record.reasoning_tokens > 0) json["reasoning_tokens"] = record.reasoning_tokens;
  if (record.tool_calls > 0) json["tool_calls"] = record.tool_calls;
  json["attempts"] = record.attempts;
  json["total_seconds"] = absl::ToDoubleSeconds(record.total);
  if (record.time_to_first_token.has_value()) {
    json["time_to_first_token_seconds"] = absl::ToDoubleSeconds(*record.time_to_first_token);
    json["queue_seconds"] = absl::ToDoubleSeconds(record.queue);
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void LogRequestToStdout(const RequestRecord& record) {
  const std::string line = FormatRequestRecord(record, absl::Now()) + "\n";
  // One write a line; if stdout is gone there is nobody to tell.
  for (size_t done = 0; done < line.size();) {
    const ssize_t n = write(STDOUT_FILENO, line.data() + done, line.size() - done);
    if (n <= 0) return;
    done += static_cast<size_t>(n);
  }
}

}  // namespace facet
