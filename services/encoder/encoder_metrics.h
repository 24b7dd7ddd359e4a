#ifndef FACET_SERVICES_ENCODER_ENCODER_METRICS_H_
#define FACET_SERVICES_ENCODER_ENCODER_METRICS_H_

#include "absl/status/status.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace facet {

// The metrics of an encoder. Each is documented by its help text on the page.
//
// Thread-safe. `registry` must outlive it; one per registry.
class EncoderMetrics {
 public:
  explicit EncoderMetrics(prometheus::Registry& registry);

  // A call has ended. `code` by its gRPC name: "OK", "INVALID_ARGUMENT".
  void CountRequest(absl::StatusCode code);

  prometheus::Gauge& in_flight;
  prometheus::Gauge& queue_depth;
  prometheus::Histogram& batch_items;
  prometheus::Histogram& decode_seconds;
  prometheus::Histogram& network_seconds;
  prometheus::Histogram& request_seconds;
  prometheus::Counter& cache_hits;
  prometheus::Counter& cache_misses;
  prometheus::Gauge& cache_bytes;
  // Of media that went through the network, not of those that the cache knew.
  prometheus::Counter& images;
  prometheus::Counter& audio_seconds;
  prometheus::Counter& soft_tokens;

 private:
  prometheus::Family<prometheus::Counter>& requests_;
};

}  // namespace facet

#endif  // FACET_SERVICES_ENCODER_ENCODER_METRICS_H_
