#ifndef FACET_ROUTER_GROUP_ADDRESSES_H_
#define FACET_ROUTER_GROUP_ADDRESSES_H_

// Where the shard groups are: what the flag --groups says.

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace facet {

struct GroupAddresses {
  struct DnsName {
    std::string host;
    std::string port;
  };
  std::vector<std::string> fixed;  // host:port of one leader each
  std::vector<DnsName> dns;        // each address that the name has is a leader
};

// A list separated by commas of `host:port` (one group) and `dns:///name:port` (a group at every
// address of the name, looked up again and again). InvalidArgument names the element that is
// neither, or comes twice; also for the empty list.
absl::StatusOr<GroupAddresses> ParseGroupAddresses(absl::string_view text);

// Looks a name up: host:port of each of its addresses, sorted; [host]:port for IPv6. Blocks.
// Unavailable if it has none.
using NameResolver =
    std::function<absl::StatusOr<std::vector<std::string>>(const GroupAddresses::DnsName&)>;
absl::StatusOr<std::vector<std::string>> ResolveWithSystem(const GroupAddresses::DnsName& name);

}  // namespace facet

#endif  // FACET_ROUTER_GROUP_ADDRESSES_H_
