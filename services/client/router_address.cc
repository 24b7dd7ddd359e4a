#include "services/client/router_address.h"

#include <cstdlib>
#include <fstream>

namespace facet {

std::string FindRouter(const std::optional<std::string>& flag) {
  if (flag.has_value()) return *flag;
  const char* variable = std::getenv("FACET_ROUTER");
  if (variable != nullptr && *variable != '\0') return variable;
  const char* path = std::getenv("FACET_ROUTER_FILE");
  std::ifstream file(path != nullptr && *path != '\0' ? path : ".run/router.address");
  std::string address;
  if (file >> address) return address;
  return "127.0.0.1:50051";
}

}  // namespace facet
