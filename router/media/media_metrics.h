#ifndef FACET_ROUTER_MEDIA_MEDIA_METRICS_H_
#define FACET_ROUTER_MEDIA_MEDIA_METRICS_H_

#include <string>

#include "absl/status/status.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "proto/facet/v1/media.pb.h"

namespace facet {

// The metrics of a router's media. Each is documented by its help text on the page.
//
// Thread-safe. `registry` must outlive it; one per registry.
class MediaMetrics {
 public:
  explicit MediaMetrics(prometheus::Registry& registry);

  // A medium has its soft tokens, from the cache or an encoder, or will not get them.
  void CountMedium(v1::Media::Kind kind, absl::StatusCode code);
  // How long an encoder took for one medium, a second try included; whatever came of it.
  void ObserveEncoding(v1::Media::Kind kind, double seconds);
  // A call of an encoder failed and another replica was tried; `encoder`: "vision encoder".
  void CountRetry(const std::string& encoder);
  void CountDownload(absl::StatusCode code);

  prometheus::Gauge& encodings_in_flight;
  prometheus::Counter& cache_hits;
  prometheus::Counter& cache_misses;
  prometheus::Gauge& cache_bytes;
  prometheus::Gauge& downloads_in_flight;
  prometheus::Counter& download_bytes;
  prometheus::Histogram& download_seconds;

 private:
  prometheus::Family<prometheus::Counter>& media_;
  prometheus::Family<prometheus::Histogram>& encode_seconds_;
  prometheus::Family<prometheus::Counter>& retries_;
  prometheus::Family<prometheus::Counter>& downloads_;
};

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_MEDIA_METRICS_H_
