#include "services/gateway/access_log.h"

#include <unistd.h>

#include "absl/time/clock.h"
#include "nlohmann/json.hpp"

namespace facet {

std::string FormatAccessRecord(const AccessRecord& record, absl::Time now) {
  nlohmann::ordered_json json;
  const auto add_text = [&json](const char* key, const std::string& value) {
    if (!value.empty()) json[key] = value;
  };
  json["time"] = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", now, absl::UTCTimeZone());
  json["request_id"] = record.request_id;
  json["method"] = record.method;
  json["route"] = record.route;
  add_text("peer", record.peer);
  json["code"] = record.code;
  add_text("error", record.error);
  add_text("model", record.model);
  if (record.stream) json["stream"] = true;
  if (record.prompt_tokens > 0) {
    json["prompt_tokens"] = record.prompt_tokens;
    json["completion_tokens"] = record.completion_tokens;
  }
  json["total_seconds"] = absl::ToDoubleSeconds(record.total);
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void LogAccessToStdout(const AccessRecord& record) {
  const std::string line = FormatAccessRecord(record, absl::Now()) + "\n";
  // One write a line; if stdout is gone there is nobody to tell.
  for (size_t done = 0; done < line.size();) {
    const ssize_t n = write(STDOUT_FILENO, line.data() + done, line.size() - done);
    if (n <= 0) return;
    done += static_cast<size_t>(n);
  }
}

}  // namespace facet
