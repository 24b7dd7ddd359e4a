#ifndef FACET_ROUTER_MEDIA_DOWNLOAD_H_
#define FACET_ROUTER_MEDIA_DOWNLOAD_H_

#include <atomic>
#include <cstdint>
#include <stop_token>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "router/media/url_rules.h"

namespace facet {

struct DownloadLimits {
  absl::Time deadline;                         // of all of it, redirects included
  std::atomic<int64_t>* bytes_left = nullptr;  // shared with others; bodies are taken from it
  std::stop_token cancelled;
};

// The body that an http or https URL leads to. Blocks. Up to three redirects are followed, each of
// which must be allowed as the first URL must be, and none from https to http. Only addresses that
// the rules let it reach are connected to: each is checked where its socket is made, so it does not
// matter what a name means a moment later. No proxy, cookie or password of the process is used.
//   InvalidArgument   not allowed; not there (404 and its kin); of no media type; too large; its
//                     certificate does not hold
//   Unavailable       the server does not answer, fails, or asks to come again
//   DeadlineExceeded, Cancelled
// Messages name the host at most.
absl::StatusOr<std::string> Download(const UrlRules& rules, const std::string& url,
                                     const DownloadLimits& limits);

}  // namespace facet

#endif  // FACET_ROUTER_MEDIA_DOWNLOAD_H_
