// Gloo between hosts, as far as one machine has them: network namespaces on a switch, with an MTU
// of 1500 as in real networks. Contacts no address but those that it makes inside them.

#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "base/status_macros.h"
#include "base/testing/status_matchers.h"
#include "gtest/gtest.h"
#include "shard/collective/testing/child_process.h"
#include "shard/collective/testing/gloo_process_contract.h"
#include "shard/collective/testing/network_lab.h"

namespace facet {
namespace {

class Hosts final : public Place {
 public:
  Hosts(std::unique_ptr<NetworkLab> lab, bool by_interface)
      : lab_(std::move(lab)), by_interface_(by_interface) {}
  bool Enter(int rank) const override { return lab_->Enter(rank); }
  void SetAddress(GlooCollectiveOptions& options) const override {
    if (by_interface_) {
      options.interface = "eth0";
    } else {
      options.hostname = NetworkLab::AddressOf(options.rank);
    }
  }
  absl::Status Unplug(int rank) override { return lab_->Unplug(rank); }

 private:
  const std::unique_ptr<NetworkLab> lab_;
  const bool by_interface_;
};

PlaceCase HostsCase(const std::string& name, bool by_interface) {
  return {name, [by_interface](int ranks) -> absl::StatusOr<std::unique_ptr<Place>> {
            FACET_ASSIGN_OR_RETURN(auto lab, NetworkLab::Create(ranks));
            return std::make_unique<Hosts>(std::move(lab), by_interface);
          }};
}

INSTANTIATE_TEST_SUITE_P(Namespaces, GlooProcessTest,
                         ::testing::Values(HostsCase("interface", true),
                                           HostsCase("address", false)),
                         [](const auto& info) { return info.param.name; });

TEST(NetworkLabTest, HostsSeeTheirOwnInterfaceOfMtu1500) {
  const auto lab = NetworkLab::Create(2);
  if (absl::IsPermissionDenied(lab.status())) GTEST_SKIP() << lab.status();
  ASSERT_THAT(lab, testing::IsOk());
  ifreq request = {};
  strcpy(request.ifr_name, "eth0");
  ChildProcess host = ChildProcess::Fork([&] {
    if (!(*lab)->Enter(1)) return 1;
    const int fd = socket(AF_INET, SOCK_DGRAM, 0);
    return ioctl(fd, SIOCGIFMTU, &request) == 0 && request.ifr_mtu == 1500 ? 0 : 2;
  });
  EXPECT_EQ(host.Wait(), 0);
}

}  // namespace
}  // namespace facet
