#ifndef FACET_SERVICES_SERVING_METRICS_PAGE_H_
#define FACET_SERVICES_SERVING_METRICS_PAGE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "prometheus/collectable.h"
#include "prometheus/exposer.h"

namespace facet {

// The page `/metrics` of a process (HTTP), open as long as this lives.
class MetricsPage {
 public:
  // `listen`: host:port; port 0 takes a free one. Unavailable if the address cannot be had.
  static absl::StatusOr<std::unique_ptr<MetricsPage>> Open(
      const std::string& listen,
      const std::vector<std::shared_ptr<prometheus::Collectable>>& collectables);
  ~MetricsPage();
  MetricsPage(const MetricsPage&) = delete;
  MetricsPage& operator=(const MetricsPage&) = delete;

  int port() const { return port_; }

 private:
  explicit MetricsPage(std::string listen) : listen_(std::move(listen)) {}

  const std::string listen_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  int port_ = 0;
};

}  // namespace facet

#endif  // FACET_SERVICES_SERVING_METRICS_PAGE_H_
