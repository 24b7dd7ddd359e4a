#ifndef FACET_SHARD_COLLECTIVE_TESTING_NETWORK_LAB_H_
#define FACET_SHARD_COLLECTIVE_TESTING_NETWORK_LAB_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "shard/collective/testing/child_process.h"

namespace facet {

// A few hosts on a switch, made of network namespaces: host i has the address 10.77.0.(i + 1) on an
// interface "eth0" of MTU 1500, and nothing else but its loopback. The switch is a bridge in a
// namespace of its own.
//
// The namespaces have no names. Each lives only as long as a process of this object, which ends
// with the creator at the latest, so nothing can be left behind on the machine.
//
// Needs root and iproute2's `ip`. Create() while the process has one thread.
class NetworkLab {
 public:
  // PermissionDenied if this machine does not allow namespaces, with the reason.
  static absl::StatusOr<std::unique_ptr<NetworkLab>> Create(int hosts);

  ~NetworkLab();

  static std::string AddressOf(int host);

  // For a child process, before it starts its work: moves it to a host. Async-signal-safe.
  bool Enter(int host) const;

  // Cuts the cable of a host: its packets are lost from now on, in both directions.
  absl::Status Unplug(int host);

 private:
  explicit NetworkLab(std::vector<ChildProcess> keepers) : keepers_(std::move(keepers)) {}
  absl::Status Build(int hosts);
  // Runs `ip` in the namespace of keepers_[keeper].
  absl::Status Ip(size_t keeper, const std::vector<std::string>& arguments);

  std::vector<ChildProcess> keepers_;  // of the hosts, then of the switch
  std::vector<int> namespaces_;        // open files, in the same order
};

}  // namespace facet

#endif  // FACET_SHARD_COLLECTIVE_TESTING_NETWORK_LAB_H_
