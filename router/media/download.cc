#include "router/media/download.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "curl/curl.h"
#include "router/media/data_url.h"

namespace facet {
namespace {

constexpr int kMaxRedirects = 3;
constexpr int kMaxPollMs = 1000;

struct EasyCloser {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct MultiCloser {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};

void InitializeLibraryOnce() {
  static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT);
  FACET_CHECK(done == CURLE_OK) << curl_easy_strerror(done);
}

// One request and its answer.
class Exchange {
 public:
  Exchange(const UrlRules& rules, HttpUrl url, const DownloadLimits& limits)
      : rules_(rules), limits_(limits), url_(std::move(url)) {
    InitializeLibraryOnce();
    easy_.reset(curl_easy_init());
    multi_.reset(curl_multi_init());
    FACET_CHECK(easy_ != nullptr && multi_ != nullptr);
    SetUp();
  }
  ~Exchange() { curl_multi_remove_handle(multi_.get(), easy_.get()); }

  // Fills `body`, or `redirect` with where to go on.
  absl::Status Run() {
    absl::StatusOr<CURLcode> result = Perform();
    if (!result.ok()) return result.status();
    FACET_RETURN_IF_ERROR(ToStatus(*result));
    return ReadHead();
  }

  std::string body;
  std::string redirect;

 private:
  template <typename Value>
  void Set(CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(easy_.get(), option, value);
    FACET_CHECK(code == CURLE_OK) << option << ": " << curl_easy_strerror(code);
  }

  void SetUp() {
    Set(CURLOPT_CURLU, url_.url.get());
    Set(CURLOPT_PROTOCOLS_STR, "http,https");
    Set(CURLOPT_PROXY, "");  // none of the environment either
    Set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    Set(CURLOPT_FOLLOWLOCATION, 0L);
    Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    Set(CURLOPT_NOSIGNAL, 1L);
    Set(CURLOPT_QUICK_EXIT, 1L);  // a look-up that hangs does not hold the thread
    Set(CURLOPT_USERAGENT, "facet");
    Set(CURLOPT_BUFFERSIZE, 256L << 10);
    // Of an answer that says its length; any other is stopped on its way.
    Set(CURLOPT_MAXFILESIZE_LARGE,
        static_cast<curl_off_t>(std::max<int64_t>(1, limits_.bytes_left->load())));
    Set(CURLOPT_OPENSOCKETFUNCTION, &Exchange::OpenSocket);
    Set(CURLOPT_OPENSOCKETDATA, this);
    Set(CURLOPT_WRITEFUNCTION, &Exchange::Write);
    Set(CURLOPT_WRITEDATA, this);
    const CURLMcode code = curl_multi_add_handle(multi_.get(), easy_.get());
    FACET_CHECK(code == CURLM_OK) << curl_multi_strerror(code);
  }

  // Until the exchange is over, the deadline has passed or the caller has left.
  absl::StatusOr<CURLcode> Perform() {
    const std::stop_callback wake(limits_.cancelled, [this] { curl_multi_wakeup(multi_.get()); });
    int running = 1;
    for (;;) {
      CURLMcode code = curl_multi_perform(multi_.get(), &running);
      if (code == CURLM_OK && running == 0) break;
      if (limits_.cancelled.stop_requested()) {
        return absl::CancelledError("the caller cancelled");
      }
      const absl::Duration left = limits_.deadline - absl::Now();
      if (left <= absl::ZeroDuration()) {
        return absl::DeadlineExceededError(absl::StrCat("host '", url_.host, "' took too long"));
      }
      const int64_t ms = absl::ToInt64Milliseconds(absl::Ceil(left, absl::Milliseconds(1)));
      if (code == CURLM_OK) {
        code = curl_multi_poll(multi_.get(), nullptr, 0,
                               static_cast<int>(std::min<int64_t>(ms, kMaxPollMs)), nullptr);
      }
      if (code != CURLM_OK) return absl::InternalError(curl_multi_strerror(code));
    }
    int messages = 0;
    const CURLMsg* const end = curl_multi_info_read(multi_.get(), &messages);
    FACET_CHECK(end != nullptr && end->msg == CURLMSG_DONE);
    return end->data.result;
  }

  absl::Status ToStatus(CURLcode result) const {
    const auto with_host = [this](absl::string_view what) {
      return absl::StrCat("host '", url_.host, "' ", what);
    };
    if (too_large_ || result == CURLE_FILESIZE_EXCEEDED) {
      return absl::InvalidArgumentError(
          with_host("sends more bytes than are left of --max_media_bytes"));
    }
    switch (result) {
      case CURLE_OK:
        return absl::OkStatus();
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_CONNECT_ERROR:
        return absl::InvalidArgumentError(with_host("cannot be trusted: its certificate"));
      case CURLE_COULDNT_RESOLVE_HOST:
        return absl::UnavailableError(with_host("is not found"));
      default:
        break;
    }
    if (address_refused_ && !connected_) {
      return absl::InvalidArgumentError(
          with_host("is at no public address (--media_url_allow_private)"));
    }
    return absl::UnavailableError(
        absl::StrCat(with_host("does not deliver: "), curl_easy_strerror(result)));
  }

  absl::Status ReadHead() {
    long code = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &code);
    if (code == 200) {
      const char* type = nullptr;
      curl_easy_getinfo(easy_.get(), CURLINFO_CONTENT_TYPE, &type);
      FACET_RETURN_IF_ERROR(CheckMediaType(type == nullptr ? "" : type));
      if (body.empty()) return absl::InvalidArgumentError("leads to nothing: an empty body");
      return absl::OkStatus();
    }
    const char* next = nullptr;
    curl_easy_getinfo(easy_.get(), CURLINFO_REDIRECT_URL, &next);
    if (code >= 300 && code < 400 && next != nullptr) {
      redirect = next;
      return absl::OkStatus();
    }
    const std::string message = absl::StrCat("host '", url_.host, "' answers ", code);
    const bool later = code >= 500 || code == 408 || code == 425 || code == 429;
    return later ? absl::UnavailableError(message) : absl::InvalidArgumentError(message);
  }

  static curl_socket_t OpenSocket(void* self, curlsocktype, curl_sockaddr* address) {
    auto& exchange = *static_cast<Exchange*>(self);
    AddressBytes bytes;
    if (!ToAddressBytes(address->addr, &bytes) ||
        !MayBeReached(bytes, exchange.rules_.allow_private)) {
      exchange.address_refused_ = true;
      return CURL_SOCKET_BAD;
    }
    exchange.connected_ = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  }

  static size_t Write(char* data, size_t size, size_t count, void* self) {
    auto& exchange = *static_cast<Exchange*>(self);
    const size_t bytes = size * count;
    if (exchange.limits_.bytes_left->fetch_sub(static_cast<int64_t>(bytes)) <
        static_cast<int64_t>(bytes)) {
      exchange.too_large_ = true;
      return 0;  // ends the exchange
    }
    exchange.body.append(data, bytes);
    return bytes;
  }

  const UrlRules& rules_;
  const DownloadLimits& limits_;
  const HttpUrl url_;
  std::unique_ptr<CURL, EasyCloser> easy_;
  std::unique_ptr<CURLM, MultiCloser> multi_;
  bool address_refused_ = false;
  bool connected_ = false;  // some address was allowed
  bool too_large_ = false;
};

}  // namespace

absl::StatusOr<std::string> Download(const UrlRules& rules, const std::string& url,
                                     const DownloadLimits& limits) {
  std::string next = url;
  bool https = false;
  for (int redirects = 0; redirects <= kMaxRedirects; ++redirects) {
    absl::StatusOr<HttpUrl> parsed = ParseHttpUrl(rules, next);
    if (parsed.ok() && https && !parsed->https) {
      parsed = absl::InvalidArgumentError("is http, after https");
    }
    if (!parsed.ok() && redirects > 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("redirects to a URL that ", parsed.status().message()));
    }
    FACET_RETURN_IF_ERROR(parsed.status());
    https = parsed->https;
    Exchange exchange(rules, *std::move(parsed), limits);
    FACET_RETURN_IF_ERROR(exchange.Run());
    if (exchange.redirect.empty()) return std::move(exchange.body);
    next = std::move(exchange.redirect);
  }
  return absl::InvalidArgumentError(absl::StrCat("redirects more than ", kMaxRedirects, " times"));
}

}  // namespace facet
