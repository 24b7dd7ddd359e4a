#ifndef FACET_SERVICES_SERVING_PROCESS_METRICS_H_
#define FACET_SERVICES_SERVING_PROCESS_METRICS_H_

// Metrics that every process has, under the names that dashboards know: process_cpu_seconds_total,
// process_resident_memory_bytes, process_virtual_memory_bytes, process_open_fds, process_max_fds,
// process_start_time_seconds, process_threads; and facet_build_info{version,build} = 1.

#include <memory>

#include "prometheus/collectable.h"

namespace facet {

// Read anew at each scrape. Thread-safe. A number that the system does not give is left out.
std::shared_ptr<prometheus::Collectable> MakeProcessMetrics();

}  // namespace facet

#endif  // FACET_SERVICES_SERVING_PROCESS_METRICS_H_
