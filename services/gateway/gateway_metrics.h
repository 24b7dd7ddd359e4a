#ifndef FACET_SERVICES_GATEWAY_GATEWAY_METRICS_H_
#define FACET_SERVICES_GATEWAY_GATEWAY_METRICS_H_

#include <string>

#include "absl/time/time.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace facet {

// The metrics of a gateway. Each is documented by its help text on the page.
//
// Thread-safe. `registry` must outlive it; one per registry.
class GatewayMetrics {
 public:
  explicit GatewayMetrics(prometheus::Registry& registry);

  // A request has ended. `route`: one of a fixed set, never what a caller wrote.
  void CountRequest(const std::string& route, int code, absl::Duration duration);

  prometheus::Gauge& requests_in_flight;
  prometheus::Gauge& streams_open;

 private:
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Histogram>& durations_;
};

}  // namespace facet

#endif  // FACET_SERVICES_GATEWAY_GATEWAY_METRICS_H_
