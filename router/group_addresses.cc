#include "router/group_addresses.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace facet {
namespace {

absl::StatusOr<GroupAddresses::DnsName> SplitHostPort(absl::string_view element,
                                                      absl::string_view address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  const bool has_port = colon != absl::string_view::npos && colon > 0 &&
                        absl::SimpleAtoi(address.substr(colon + 1), &port) && port >= 1 &&
                        port <= 65535;
  absl::string_view host = has_port ? address.substr(0, colon) : "";
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const bool sound = has_port && host.find_first_of("/ \t@") == absl::string_view::npos &&
                     (bracketed || host.find(':') == absl::string_view::npos);
  if (!sound) {
    return absl::InvalidArgumentError(
        absl::StrCat("groups: '", element,
                     "' is neither host:port nor dns:///name:port with a port of 1 to 65535"));
  }
  return GroupAddresses::DnsName{std::string(host), std::string(address.substr(colon + 1))};
}

}  // namespace

absl::StatusOr<GroupAddresses> ParseGroupAddresses(absl::string_view text) {
  GroupAddresses out;
  std::set<absl::string_view> seen;
  for (absl::string_view element : absl::StrSplit(text, ',')) {
    element = absl::StripAsciiWhitespace(element);
    if (!seen.insert(element).second) {
      return absl::InvalidArgumentError(absl::StrCat("groups: '", element, "' comes twice"));
    }
    absl::string_view address = element;
    const bool by_name = absl::ConsumePrefix(&address, "dns:///");
    FACET_ASSIGN_OR_RETURN(const GroupAddresses::DnsName name, SplitHostPort(element, address));
    if (by_name) {
      out.dns.push_back(name);
    } else {
      out.fixed.push_back(std::string(address));
    }
  }
  return out;
}

absl::StatusOr<std::vector<std::string>> ResolveWithSystem(const GroupAddresses::DnsName& name) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* raw = nullptr;
  const int error = getaddrinfo(name.host.c_str(), name.port.c_str(), &hints, &raw);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot look up ", name.host, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(raw, &freeaddrinfo);
  std::set<std::string> addresses;
  for (const addrinfo* a = list.get(); a != nullptr; a = a->ai_next) {
    char host[NI_MAXHOST];
    if (getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof(host), nullptr, 0, NI_NUMERICHOST) !=
        0) {
      continue;
    }
    addresses.insert(a->ai_family == AF_INET6 ? absl::StrCat("[", host, "]:", name.port)
                                              : absl::StrCat(host, ":", name.port));
  }
  if (addresses.empty()) {
    return absl::UnavailableError(absl::StrCat(name.host, " has no address"));
  }
  return std::vector<std::string>(addresses.begin(), addresses.end());
}

}  // namespace facet
