#include "services/gateway/gateway_metrics.h"

#include "absl/strings/str_cat.h"
#include "base/add_metric.h"

namespace facet {
namespace {

// As those of the router's requests.
prometheus::Histogram::BucketBoundaries RequestBuckets() {
  return {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1,   2.5,
          5,     7.5,    10,    20,   40,    80,   160, 320,  640, 1280, 2560};
}

}  // namespace

GatewayMetrics::GatewayMetrics(prometheus::Registry& registry)
    : requests_in_flight(AddGauge(registry, "facet_gateway_requests_in_flight",
                                  "HTTP requests that are answered now.")),
      streams_open(AddGauge(registry, "facet_gateway_streams_open",
                            "Answers that are streamed as server-sent events now.")),
      requests_(prometheus::BuildCounter()
                    .Name("facet_gateway_requests_total")
                    .Help("HTTP requests that have ended, by route and status code; 499: the "
                          "client left.")
                    .Register(registry)),
      durations_(prometheus::BuildHistogram()
                     .Name("facet_gateway_request_duration_seconds")
                     .Help("Time from the end of a request's body to the end of its answer.")
                     .Register(registry)) {
  // There from the start, so that a rate over it has a first value.
  for (const char* route : {"/v1/chat/completions", "/v1/completions"}) {
    requests_.Add({{"route", route}, {"code", "200"}});
    durations_.Add({{"route", route}}, RequestBuckets());
  }
}

void GatewayMetrics::CountRequest(const std::string& route, int code, absl::Duration duration) {
  requests_.Add({{"route", route}, {"code", absl::StrCat(code)}}).Increment();
  durations_.Add({{"route", route}}, RequestBuckets()).Observe(absl::ToDoubleSeconds(duration));
}

}  // namespace facet
