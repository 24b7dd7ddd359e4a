#ifndef FACET_SERVICES_GATEWAY_ACCESS_LOG_H_
#define FACET_SERVICES_GATEWAY_ACCESS_LOG_H_

#include <functional>
#include <string>

#include "absl/time/time.h"

namespace facet {

// What is known of an HTTP request when it has ended. Never its text, never its key.
struct AccessRecord {
  std::string request_id;
  std::string method;
  std::string route;  // one of a fixed set; "other" for unknown paths
  std::string peer;
  int code = 0;
  std::string error;  // empty: none
  std::string model;
  bool stream = false;
  int prompt_tokens = 0;
  int completion_tokens = 0;
  absl::Duration total;
};

// One line of JSON, without the line's end:
//   time, request_id, method, route, peer, code, error, model, stream, prompt_tokens,
//   completion_tokens, total_seconds
// What is empty is left out.
std::string FormatAccessRecord(const AccessRecord& record, absl::Time now);

// Where the lines go. Must be thread-safe.
using AccessLog = std::function<void(const AccessRecord&)>;

// Writes each line to stdout, whole.
void LogAccessToStdout(const AccessRecord& record);

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_ACCESS_LOG_H_
