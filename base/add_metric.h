#ifndef FACET_BASE_ADD_METRIC_H_
#define FACET_BASE_ADD_METRIC_H_

// Metrics without labels, made and registered in one call. The registry owns them.

#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace facet {

inline prometheus::Gauge& AddGauge(prometheus::Registry& registry, const char* name,
                                   const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

inline prometheus::Counter& AddCounter(prometheus::Registry& registry, const char* name,
                                       const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

inline prometheus::Histogram& AddHistogram(prometheus::Registry& registry, const char* name,
                                           const char* help,
                                           const prometheus::Histogram::BucketBoundaries& buckets) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, buckets);
}

}  // namespace facet

#endif  // FACET_BASE_ADD_METRIC_H_
