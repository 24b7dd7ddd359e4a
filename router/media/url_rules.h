#ifndef FACET_ROUTER_MEDIA_URL_RULES_H_
#define FACET_ROUTER_MEDIA_URL_RULES_H_

// Which URLs the operator lets callers name. By default none that is fetched from anywhere.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "curl/curl.h"
#include "router/media/address_ranges.h"

namespace facet {

// "example.com", "*.example.com" (every name below it, not itself), "*" (every host): ports 80 of
// http and 443 of https. "example.com:8080": that port alone. An IPv6 address is in brackets.
struct HostRule {
  std::string name;            // lower case; without "*."
  bool with_subnames = false;  // "*.": of names below `name` alone; name empty: every host
  int port = 0;                // 0: those of the schemes
};

struct UrlRules {
  std::vector<HostRule> hosts;              // none: no http and https
  std::vector<std::string> file_roots;      // of files that may be read, as realpath gives it
  std::vector<AddressRange> allow_private;  // reached although not public

  // The texts of the three settings, each a list with commas. InvalidArgument names the entry; a
  // root that is no directory is one.
  static absl::StatusOr<UrlRules> Parse(absl::string_view hosts, absl::string_view file_roots,
                                        absl::string_view allow_private);
};

struct CurlUrlCloser {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

// An http or https URL that the rules allow, read by the library that will fetch it, so that both
// mean the same.
struct HttpUrl {
  std::unique_ptr<CURLU, CurlUrlCloser> url;
  bool https = false;
  std::string host;  // lower case, numbers of IPv4 addresses in four parts; no dot at the end
};

// Which kind of URL it is, by its beginning.
enum class UrlScheme { kData, kHttp, kFile, kOther };
UrlScheme SchemeOf(absl::string_view url);

// InvalidArgument says what is not allowed. It holds the host's name at most: paths and queries may
// be secrets.
absl::StatusOr<HttpUrl> ParseHttpUrl(const UrlRules& rules, const std::string& url);

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_URL_RULES_H_
