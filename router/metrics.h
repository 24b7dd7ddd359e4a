#ifndef FACET_ROUTER_METRICS_H_
#define FACET_ROUTER_METRICS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace facet {

// The metrics of a router. Each is documented by its help text on the page (docs/metrics.md).
//
// Thread-safe. `registry` must outlive it; one per registry.
class RouterMetrics {
 public:
  explicit RouterMetrics(prometheus::Registry& registry);

  // A request has ended. `code` by its gRPC name: "OK", "INVALID_ARGUMENT".
  void CountRequest(const std::string& method, absl::StatusCode code);

  prometheus::Gauge& requests_in_flight;
  prometheus::Gauge& requests_waiting_for_group;
  prometheus::Gauge& groups_ready;
  prometheus::Gauge& groups;
  prometheus::Counter& retries;
  prometheus::Counter& reader_pauses;
  prometheus::Counter& prompt_tokens;
  prometheus::Counter& generation_tokens;
  prometheus::Counter& chat_reasoning_tokens;
  prometheus::Counter& chat_tool_calls;
  prometheus::Counter& chat_broken_tool_calls;
  prometheus::Histogram& tokenize_seconds;
  // From the arrival of the request to its first token.
  prometheus::Histogram& time_to_first_token_seconds;
  // Between two messages with tokens of one completion; a message may hold several.
  prometheus::Histogram& inter_token_latency_seconds;
  // Of one completion: from its first message with tokens to its last one, divided by the tokens
  // that came after the first message. Only completions that have such tokens.
  prometheus::Histogram& time_per_output_token_seconds;
  prometheus::Histogram& request_duration_seconds;

 private:
  prometheus::Family<prometheus::Counter>& requests_;
};

}  // namespace facet

#endif  // FACET_ROUTER_METRICS_H_
