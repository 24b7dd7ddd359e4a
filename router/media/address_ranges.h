#ifndef FACET_ROUTER_MEDIA_ADDRESS_RANGES_H_
#define FACET_ROUTER_MEDIA_ADDRESS_RANGES_H_

// Which network addresses a URL of a caller may lead to.

#include <sys/socket.h>

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace facet {

// An address of either family; of IPv4 as IPv6 writes it, ::ffff:a.b.c.d. Network byte order.
using AddressBytes = std::array<uint8_t, 16>;

// All addresses that begin with the same bits.
struct AddressRange {
  AddressBytes first = {};
  int bits = 128;  // of `first` that count

  bool Contains(const AddressBytes& address) const;
};

// "10.0.0.0/8", "::1", "fd00::/8"; without a length one address. InvalidArgument says what is
// wrong.
absl::StatusOr<AddressRange> ParseAddressRange(absl::string_view text);

// False for an address of another family than IPv4 and IPv6.
bool ToAddressBytes(const sockaddr& address, AddressBytes* bytes);

// Whether the address belongs to a host of the public internet. Not to this host, a private or
// provider's network, a link, a group, a cloud's metadata service, documentation; nor is it one
// that is translated to such an address (NAT64), or may be (6to4, Teredo).
bool IsPublic(const AddressBytes& address);

// Public, or in one of the ranges.
bool MayBeReached(const AddressBytes& address, absl::Span<const AddressRange> allowed);

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_ADDRESS_RANGES_H_
