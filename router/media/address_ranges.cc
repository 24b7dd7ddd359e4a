#include "router/media/address_ranges.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace facet {
namespace {

constexpr int kIpv4Offset = 12;  // of its four bytes in ::ffff:a.b.c.d

AddressBytes FromIpv4(const void* four_bytes) {
  AddressBytes out = {};
  out[10] = out[11] = 0xff;
  std::memcpy(out.data() + kIpv4Offset, four_bytes, 4);
  return out;
}

// Ranges that a program's author knows to be right.
std::vector<AddressRange> Ranges(std::initializer_list<const char*> texts) {
  std::vector<AddressRange> out;
  for (const char* const text : texts) {
    absl::StatusOr<AddressRange> range = ParseAddressRange(text);
    FACET_CHECK(range.ok()) << range.status();
    out.push_back(*range);
  }
  return out;
}

bool InAny(const AddressBytes& address, absl::Span<const AddressRange> ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const AddressRange& range) { return range.Contains(address); });
}

// IANA's special-purpose registries (RFC 6890 and its successors), and Azure's host agent, which
// answers on a public address inside of its machines.
const std::vector<AddressRange>& SpecialIpv4() {
  static const auto* ranges = new std::vector<AddressRange>(Ranges(
      {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
       "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
       "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16"}));
  return *ranges;
}

// Of IPv6, hosts of the internet are in 2000::/3; these parts of it are not theirs.
const std::vector<AddressRange>& SpecialIpv6() {
  static const auto* ranges = new std::vector<AddressRange>(
      Ranges({"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"}));
  return *ranges;
}

}  // namespace

bool AddressRange::Contains(const AddressBytes& address) const {
  const int whole = bits / 8;
  if (!std::equal(first.begin(), first.begin() + whole, address.begin())) return false;
  const int rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - rest));
  return ((first[whole] ^ address[whole]) & mask) == 0;
}

absl::StatusOr<AddressRange> ParseAddressRange(absl::string_view text) {
  const size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  AddressRange out;
  int width = 128;
  in_addr ipv4;
  if (inet_pton(AF_INET, address.c_str(), &ipv4) == 1) {
    out.first = FromIpv4(&ipv4);
    width = 32;
  } else if (inet_pton(AF_INET6, address.c_str(), out.first.data()) != 1) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is no address and no range"));
  }
  int length = width;
  if (slash != absl::string_view::npos &&
      (!absl::SimpleAtoi(text.substr(slash + 1), &length) || length < 0 || length > width)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' has a wrong length; allowed: 0 to ", width));
  }
  out.bits = 128 - width + length;
  return out;
}

bool ToAddressBytes(const sockaddr& address, AddressBytes* bytes) {
  if (address.sa_family == AF_INET) {
    *bytes = FromIpv4(&reinterpret_cast<const sockaddr_in&>(address).sin_addr);
    return true;
  }
  if (address.sa_family != AF_INET6) return false;
  std::memcpy(bytes->data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr,
              bytes->size());
  return true;
}

bool IsPublic(const AddressBytes& address) {
  static const AddressRange mapped = Ranges({"::ffff:0:0/96"}).front();
  static const AddressRange nat64 = Ranges({"64:ff9b::/96"}).front();
  static const AddressRange global = Ranges({"2000::/3"}).front();
  if (mapped.Contains(address)) return !InAny(address, SpecialIpv4());
  if (nat64.Contains(address)) return IsPublic(FromIpv4(address.data() + kIpv4Offset));
  return global.Contains(address) && !InAny(address, SpecialIpv6());
}

bool MayBeReached(const AddressBytes& address, absl::Span<const AddressRange> allowed) {
  return IsPublic(address) || InAny(address, allowed);
}

}  // namespace facet
