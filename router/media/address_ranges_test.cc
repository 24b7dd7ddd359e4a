#include "router/media/address_ranges.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <string>
#include <vector>

#include "base/testing/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace facet {
namespace {

using testing::IsOk;

// As a socket's address has it.
AddressBytes Parse(const std::string& text) {
  sockaddr_storage storage = {};
  auto& ipv4 = reinterpret_cast<sockaddr_in&>(storage);
  auto& ipv6 = reinterpret_cast<sockaddr_in6&>(storage);
  if (inet_pton(AF_INET, text.c_str(), &ipv4.sin_addr) == 1) {
    ipv4.sin_family = AF_INET;
  } else {
    EXPECT_EQ(inet_pton(AF_INET6, text.c_str(), &ipv6.sin6_addr), 1) << text;
    ipv6.sin6_family = AF_INET6;
  }
  AddressBytes bytes = {};
  EXPECT_TRUE(ToAddressBytes(reinterpret_cast<const sockaddr&>(storage), &bytes));
  return bytes;
}

TEST(AddressRangesTest, HostsOfTheInternetArePublic) {
  for (const char* const address :
       {"8.8.8.8", "1.0.0.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
        "172.15.255.255", "172.32.0.0", "192.167.255.255", "223.255.255.255", "168.63.129.15",
        "2a00:1450:4001::1", "2600::1", "2001:4860:4860::8888", "::ffff:8.8.8.8",
        "64:ff9b::808:808"}) {
    EXPECT_TRUE(IsPublic(Parse(address))) << address;
  }
}

TEST(AddressRangesTest, AllOthersAreNot) {
  for (const char* const address : {"0.0.0.0",
                                    "0.1.2.3",
                                    "10.0.0.1",
                                    "10.255.255.255",
                                    "100.64.0.1",
                                    "100.100.100.200",
                                    "127.0.0.1",
                                    "127.255.255.254",
                                    "169.254.169.254",
                                    "172.16.0.1",
                                    "172.31.255.255",
                                    "192.0.0.192",
                                    "192.0.2.1",
                                    "192.168.0.1",
                                    "198.18.0.1",
                                    "198.19.255.255",
                                    "198.51.100.7",
                                    "203.0.113.7",
                                    "224.0.0.1",
                                    "239.1.2.3",
                                    "240.0.0.1",
                                    "255.255.255.255",
                                    "168.63.129.16",
                                    "::",
                                    "::1",
                                    "::127.0.0.1",
                                    "::ffff:127.0.0.1",
                                    "::ffff:10.0.0.1",
                                    "::ffff:169.254.169.254",
                                    "64:ff9b::7f00:1",
                                    "64:ff9b::a9fe:a9fe",
                                    "64:ff9b:1::1",
                                    "fe80::1",
                                    "fec0::1",
                                    "fc00::1",
                                    "fd00:ec2::254",
                                    "ff02::1",
                                    "100::1",
                                    "2001::1",
                                    "2001:db8::1",
                                    "2002:7f00:1::",
                                    "2002:808:808::1",
                                    "3fff::1",
                                    "5f00::1"}) {
    EXPECT_FALSE(IsPublic(Parse(address))) << address;
  }
}

TEST(AddressRangesTest, ARangeHoldsWhatBeginsAsItDoes) {
  struct Case {
    const char* range;
    const char* address;
    bool inside;
  };
  for (const Case& c : std::vector<Case>{{"127.0.0.1", "127.0.0.1", true},
                                         {"127.0.0.1", "127.0.0.2", false},
                                         {"127.0.0.1", "::ffff:127.0.0.1", true},
                                         {"10.0.0.0/8", "10.9.8.7", true},
                                         {"10.0.0.0/8", "11.0.0.0", false},
                                         {"172.16.0.0/12", "172.31.0.1", true},
                                         {"172.16.0.0/12", "172.32.0.1", false},
                                         {"0.0.0.0/0", "9.9.9.9", true},
                                         {"0.0.0.0/0", "fd00::1", false},
                                         {"::1", "::1", true},
                                         {"fd00::/9", "fd7f::1", true},
                                         {"fd00::/9", "fd80::1", false}}) {
    const auto range = ParseAddressRange(c.range);
    ASSERT_THAT(range, IsOk());
    EXPECT_EQ(range->Contains(Parse(c.address)), c.inside) << c.range << " " << c.address;
    EXPECT_TRUE(!c.inside || MayBeReached(Parse(c.address), {*range})) << c.address;
  }
  EXPECT_FALSE(MayBeReached(Parse("10.0.0.1"), {}));
}

TEST(AddressRangesTest, WhatIsNoRangeIsRefused) {
  for (const char* const text : {"", "host", "10.0.0", "0x7f.1", "10.0.0.0/33", "10.0.0.0/-1",
                                 "::1/129", "10.0.0.0/", "10.0.0.0/8/8", "[::1]"}) {
    EXPECT_FALSE(ParseAddressRange(text).ok()) << text;
  }
}

}  // namespace
}  // namespace facet
