#ifndef FACET_SERVICES_CLIENT_ROUTER_ADDRESS_H_
#define FACET_SERVICES_CLIENT_ROUTER_ADDRESS_H_

#include <optional>
#include <string>

namespace facet {

// Where the router is, by the first of these that says so: the flag; the environment variable
// FACET_ROUTER; the file that a local launcher writes (FACET_ROUTER_FILE, .run/router.address if
// unset), if it is there and not empty; 127.0.0.1:50051.
std::string FindRouter(const std::optional<std::string>& flag);

}  // namespace facet

#endif  // FACET_SERVICES_CLIENT_ROUTER_ADDRESS_H_
