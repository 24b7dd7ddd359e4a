#ifndef FACET_SERVICES_SERVING_PORT_FILE_H_
#define FACET_SERVICES_SERVING_PORT_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace facet {

// Tells the ports of this process to those who asked for port 0, as JSON:
// {"port": N, "metrics_port": N (0: no page), "pid": N}. The file appears whole or not at all.
// Unavailable if it cannot be written.
absl::Status WritePortFile(const std::string& path, int port, int metrics_port);

}  // namespace facet

#endif  // FACET_SERVICES_SERVING_PORT_FILE_H_
