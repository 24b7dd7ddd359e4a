#include "router/group_addresses.h"

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

TEST(GroupAddressesTest, ReadsHostsAndNames) {
  const auto addresses =
      ParseGroupAddresses("10.0.0.1:7000, host.example:7001,dns:///groups.svc:7002,[::1]:7003");
  ASSERT_THAT(addresses, IsOk());
  EXPECT_THAT(addresses->fixed, ElementsAre("10.0.0.1:7000", "host.example:7001", "[::1]:7003"));
  ASSERT_EQ(addresses->dns.size(), 1u);
  EXPECT_EQ(addresses->dns[0].host, "groups.svc");
  EXPECT_EQ(addresses->dns[0].port, "7002");
}

TEST(GroupAddressesTest, NamesTheElementThatIsWrong) {
  for (const std::string bad :
       {"", "a:1,", "host", "host:", ":7000", "host:0", "host:65536", "host:x", "http://h:1",
        "a b:1", "::1:7000", "dns://server/name:1", "dns:///name", "a:1,b:2,a:1"}) {
    EXPECT_THAT(ParseGroupAddresses(bad),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("groups")))
        << bad;
  }
  EXPECT_THAT(ParseGroupAddresses("a:1,b"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'b'")));
}

TEST(GroupAddressesTest, TheSystemResolvesNumbersAndRefusesNonsense) {
  const auto four = ResolveWithSystem({"127.0.0.1", "7000"});
  ASSERT_THAT(four, IsOk());
  EXPECT_THAT(*four, ElementsAre("127.0.0.1:7000"));
  const auto local = ResolveWithSystem({"localhost", "7000"});
  ASSERT_THAT(local, IsOk());
  EXPECT_THAT(*local, Contains("127.0.0.1:7000"));
  EXPECT_THAT(ResolveWithSystem({"no-such-host.invalid", "7000"}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no-such-host.invalid")));
}

}  // namespace
}  // namespace facet
