#include "router/metrics.h"

#include "base/add_metric.h"

namespace facet {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

// A small model answers within a millisecond per token, a queue may hold a request for minutes.
Buckets PerTokenBuckets() {
  return Buckets{0.00025, 0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.015,
                 0.02,    0.025,  0.03,  0.04,  0.05,  0.075, 0.1,   0.15, 0.2,
                 0.3,     0.5,    0.75,  1,     2.5,   5,     10};
}

Buckets RequestBuckets() {
  return Buckets{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1,   2.5,
                 5,     7.5,    10,    20,   40,    80,   160, 320,  640, 1280, 2560};
}

Buckets TokenizeBuckets() {
  return Buckets{0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5};
}

// The name that gRPC gives the code: the same as Abseil's.
std::string Label(absl::StatusCode code) { return absl::StatusCodeToString(code); }

}  // namespace

RouterMetrics::RouterMetrics(prometheus::Registry& registry)
    : requests_in_flight(AddGauge(registry, "facet_router_requests_in_flight",
                                  "Requests that are in the router now.")),
      requests_waiting_for_group(AddGauge(registry, "facet_router_requests_waiting_for_group",
                                          "Requests that wait because no shard group is ready.")),
      groups_ready(AddGauge(registry, "facet_router_groups_ready",
                            "Shard groups that can take a request now.")),
      groups(AddGauge(registry, "facet_router_groups", "Shard groups that the router knows.")),
      retries(AddCounter(registry, "facet_router_retries_total",
                         "Requests sent to a second shard group, since the first was lost, full "
                         "or draining before it gave a token.")),
      reader_pauses(AddCounter(registry, "facet_router_reader_pauses_total",
                               "How often a request was paused, since its caller was behind with "
                               "reading.")),
      prompt_tokens(AddCounter(registry, "facet_router_prompt_tokens_total",
                               "Tokens of the prompts that were sent to a shard group.")),
      generation_tokens(AddCounter(registry, "facet_router_generation_tokens_total",
                                   "Tokens that were generated.")),
      chat_reasoning_tokens(AddCounter(registry, "facet_chat_reasoning_tokens_total",
                                       "Generated tokens that were thoughts, of Chat.")),
      chat_tool_calls(AddCounter(registry, "facet_chat_tool_calls_total",
                                 "Tool calls that were given to callers of Chat.")),
      chat_broken_tool_calls(
          AddCounter(registry, "facet_chat_broken_tool_calls_total",
                     "Tool calls that could not be read, and went out as content.")),
      tokenize_seconds(AddHistogram(registry, "facet_router_tokenize_seconds",
                                    "Time to turn one text into token ids.", TokenizeBuckets())),
      time_to_first_token_seconds(
          AddHistogram(registry, "facet_time_to_first_token_seconds",
                       "Time from the arrival of a request to its first token.", RequestBuckets())),
      inter_token_latency_seconds(AddHistogram(
          registry, "facet_inter_token_latency_seconds",
          "Time between two messages with tokens of one completion; a message may hold several.",
          PerTokenBuckets())),
      time_per_output_token_seconds(AddHistogram(
          registry, "facet_time_per_output_token_seconds",
          "Mean time per token of one completion, after its first message with tokens.",
          PerTokenBuckets())),
      request_duration_seconds(AddHistogram(registry, "facet_request_duration_seconds",
                                            "Time from the arrival of a request to its end.",
                                            RequestBuckets())),
      requests_(prometheus::BuildCounter()
                    .Name("facet_router_requests_total")
                    .Help("Requests that have ended, by method and gRPC status code.")
                    .Register(registry)) {
  // There from the start, so that a rate over it has a first value.
  for (const char* method : {"Generate", "Chat"}) {
    requests_.Add({{"method", method}, {"code", Label(absl::StatusCode::kOk)}});
  }
}

void RouterMetrics::CountRequest(const std::string& method, absl::StatusCode code) {
  requests_.Add({{"method", method}, {"code", Label(code)}}).Increment();
}

}  // namespace facet
