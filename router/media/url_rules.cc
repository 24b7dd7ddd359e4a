#include "router/media/url_rules.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace facet {
namespace {

constexpr size_t kMaxUrlBytes = 8192;

template <typename... Parts>
absl::Status Refused(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::StatusOr<HostRule> ParseHostRule(absl::string_view text) {
  HostRule rule;
  absl::string_view name = text;
  const size_t colon = text.rfind(':');
  const size_t bracket = text.rfind(']');
  if (colon != absl::string_view::npos && (bracket == absl::string_view::npos || colon > bracket)) {
    name = text.substr(0, colon);
    if (!absl::SimpleAtoi(text.substr(colon + 1), &rule.port) || rule.port < 1 ||
        rule.port > 65535) {
      return Refused("'", text, "' has a wrong port; allowed: 1 to 65535");
    }
  }
  if (name == "*") {
    rule.with_subnames = true;
    return rule;
  }
  rule.with_subnames = absl::ConsumePrefix(&name, "*.");
  absl::ConsumeSuffix(&name, ".");
  if (name.empty() || name.find_first_of("*/@ ") != absl::string_view::npos) {
    return Refused("'", text, "' is no host; allowed: name, *.name, *, each also with :port");
  }
  rule.name = absl::AsciiStrToLower(name);
  return rule;
}

absl::StatusOr<std::string> RealFolder(absl::string_view text) {
  const std::filesystem::path path{std::string(text)};
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(path, error);
  if (error || !path.is_absolute() || !std::filesystem::is_directory(real, error)) {
    return Refused("'", text, "' is no absolute path of a directory");
  }
  return real.string();
}

// `parse` takes each entry of a setting; its errors name the setting.
absl::Status ForEach(const char* setting, absl::string_view list,
                     const std::function<absl::Status(absl::string_view)>& parse) {
  for (const absl::string_view text : absl::StrSplit(list, ',', absl::SkipWhitespace())) {
    const absl::Status parsed = parse(absl::StripAsciiWhitespace(text));
    if (!parsed.ok()) return Refused("--", setting, ": ", parsed.message());
  }
  return absl::OkStatus();
}

bool Matches(const HostRule& rule, const std::string& host, int port, int port_of_scheme) {
  if (port != (rule.port != 0 ? rule.port : port_of_scheme)) return false;
  if (!rule.with_subnames) return host == rule.name;
  return rule.name.empty() || absl::EndsWith(host, absl::StrCat(".", rule.name));
}

std::string Part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return "";
  std::string out(text);
  curl_free(text);
  return out;
}

bool IsPlainAscii(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

absl::StatusOr<UrlRules> UrlRules::Parse(absl::string_view hosts, absl::string_view file_roots,
                                         absl::string_view allow_private) {
  UrlRules rules;
  FACET_RETURN_IF_ERROR(ForEach("media_url_hosts", hosts, [&](absl::string_view text) {
    FACET_ASSIGN_OR_RETURN(HostRule rule, ParseHostRule(text));
    rules.hosts.push_back(std::move(rule));
    return absl::OkStatus();
  }));
  FACET_RETURN_IF_ERROR(ForEach("media_file_roots", file_roots, [&](absl::string_view text) {
    FACET_ASSIGN_OR_RETURN(std::string root, RealFolder(text));
    rules.file_roots.push_back(std::move(root));
    return absl::OkStatus();
  }));
  FACET_RETURN_IF_ERROR(
      ForEach("media_url_allow_private", allow_private, [&](absl::string_view text) {
        FACET_ASSIGN_OR_RETURN(const AddressRange range, ParseAddressRange(text));
        rules.allow_private.push_back(range);
        return absl::OkStatus();
      }));
  return rules;
}

UrlScheme SchemeOf(absl::string_view url) {
  if (absl::StartsWithIgnoreCase(url, "data:")) return UrlScheme::kData;
  if (absl::StartsWithIgnoreCase(url, "http://") || absl::StartsWithIgnoreCase(url, "https://")) {
    return UrlScheme::kHttp;
  }
  return absl::StartsWithIgnoreCase(url, "file:") ? UrlScheme::kFile : UrlScheme::kOther;
}

absl::StatusOr<HttpUrl> ParseHttpUrl(const UrlRules& rules, const std::string& url) {
  if (SchemeOf(url) != UrlScheme::kHttp) return Refused("is of another scheme than http and https");
  if (rules.hosts.empty()) {
    return Refused(
        "is not fetched: this router fetches nothing (--media_url_hosts); send the bytes in data");
  }
  if (url.size() > kMaxUrlBytes) {
    return Refused("has ", url.size(), " bytes; at most ", kMaxUrlBytes, " are accepted");
  }
  // Names of other alphabets would be rewritten after they were checked.
  if (!IsPlainAscii(url)) return Refused("has characters that must be escaped in a URL");
  HttpUrl out;
  out.url.reset(curl_url());
  FACET_CHECK(out.url != nullptr);
  if (curl_url_set(out.url.get(), CURLUPART_URL, url.c_str(), CURLU_DISALLOW_USER) != CURLUE_OK) {
    return Refused("cannot be read as a URL without user and password");
  }
  out.https = Part(out.url.get(), CURLUPART_SCHEME) == "https";
  out.host = absl::AsciiStrToLower(Part(out.url.get(), CURLUPART_HOST));
  if (absl::EndsWith(out.host, ".")) out.host.pop_back();
  int port = 0;
  if (out.host.empty() || !IsPlainAscii(out.host) ||
      !absl::SimpleAtoi(Part(out.url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT), &port)) {
    return Refused("has no host");
  }
  const int port_of_scheme = out.https ? 443 : 80;
  for (const HostRule& rule : rules.hosts) {
    if (Matches(rule, out.host, port, port_of_scheme)) return out;
  }
  return Refused("names host '", out.host, "' and port ", port,
                 ", which --media_url_hosts does not allow");
}

}  // namespace facet
