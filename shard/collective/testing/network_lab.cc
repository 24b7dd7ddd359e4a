#include "shard/collective/testing/network_lab.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"

namespace facet {
namespace {

// A process in a network namespace of its own that does nothing. It says through `ready` whether it
// got one.
ChildProcess StartKeeper(const int ready[2]) {
  return ChildProcess::Fork([ready] {
    const int error = unshare(CLONE_NEWNET) == 0 ? 0 : errno;
    if (write(ready[1], &error, sizeof(error)) != sizeof(error)) return 1;
    for (;;) pause();
  });
}

std::string HostCable(size_t host) { return absl::StrCat("port", host); }

}  // namespace

absl::StatusOr<std::unique_ptr<NetworkLab>> NetworkLab::Create(int hosts) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) return absl::InternalError("pipe2");
  std::vector<ChildProcess> keepers;
  int error = 0;
  for (int i = 0; i < hosts + 1 && error == 0; ++i) {
    keepers.push_back(StartKeeper(ready));
    if (read(ready[0], &error, sizeof(error)) != sizeof(error)) error = EIO;
  }
  close(ready[0]);
  close(ready[1]);
  if (error != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("no permission for network namespaces: ", strerror(error)));
  }
  std::unique_ptr<NetworkLab> lab(new NetworkLab(std::move(keepers)));
  FACET_RETURN_IF_ERROR(lab->Build(hosts));
  return lab;
}

NetworkLab::~NetworkLab() {
  for (const int fd : namespaces_) close(fd);
}

absl::Status NetworkLab::Build(int hosts) {
  for (const ChildProcess& keeper : keepers_) {
    const std::string path = absl::StrCat("/proc/", keeper.pid(), "/ns/net");
    namespaces_.push_back(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (namespaces_.back() < 0) return absl::InternalError(absl::StrCat("cannot open ", path));
  }
  const size_t the_switch = static_cast<size_t>(hosts);
  if (const auto status = Ip(the_switch, {"link", "add", "switch0", "type", "bridge"});
      !status.ok()) {
    return absl::PermissionDeniedError(status.message());
  }
  FACET_RETURN_IF_ERROR(Ip(the_switch, {"link", "set", "switch0", "up"}));
  for (size_t host = 0; host < the_switch; ++host) {
    const std::string cable = HostCable(host);
    const std::string pid = absl::StrCat(keepers_[host].pid());
    FACET_RETURN_IF_ERROR(Ip(the_switch, {"link", "add", cable, "mtu", "1500", "type", "veth",
                                          "peer", "name", "eth0", "mtu", "1500", "netns", pid}));
    FACET_RETURN_IF_ERROR(Ip(the_switch, {"link", "set", cable, "master", "switch0", "up"}));
    const std::string address = absl::StrCat(AddressOf(static_cast<int>(host)), "/24");
    FACET_RETURN_IF_ERROR(Ip(host, {"address", "add", address, "dev", "eth0"}));
    FACET_RETURN_IF_ERROR(Ip(host, {"link", "set", "eth0", "up"}));
    FACET_RETURN_IF_ERROR(Ip(host, {"link", "set", "lo", "up"}));
  }
  return absl::OkStatus();
}

std::string NetworkLab::AddressOf(int host) { return absl::StrCat("10.77.0.", host + 1); }

bool NetworkLab::Enter(int host) const {
  return setns(namespaces_[static_cast<size_t>(host)], CLONE_NEWNET) == 0;
}

absl::Status NetworkLab::Unplug(int host) {
  return Ip(keepers_.size() - 1, {"link", "set", HostCable(static_cast<size_t>(host)), "down"});
}

absl::Status NetworkLab::Ip(size_t keeper, const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {"ip"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  ChildProcess ip = ChildProcess::Exec(
      command, [this, keeper] { return setns(namespaces_[keeper], CLONE_NEWNET) == 0; });
  const int code = ip.Wait();
  if (code == 0) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("\"", absl::StrJoin(command, " "), "\" ended with ", code));
}

}  // namespace facet
