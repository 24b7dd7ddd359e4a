#include "router/media/data_url.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace facet {

absl::StatusOr<std::string> PercentDecode(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const absl::string_view digits = text.substr(i + 1, 2);
    if (digits.size() < 2 || !absl::ascii_isxdigit(digits[0]) || !absl::ascii_isxdigit(digits[1])) {
      return absl::InvalidArgumentError("has a % that is no %XX");
    }
    out.append(absl::HexStringToBytes(digits));
    i += 2;
  }
  return out;
}

absl::StatusOr<std::string> ReadDataUrl(absl::string_view url) {
  absl::string_view rest = url.substr(5);  // "data:", in whatever case
  const size_t comma = rest.find(',');
  absl::string_view header = rest.substr(0, comma);
  if (comma == absl::string_view::npos || !absl::EndsWithIgnoreCase(header, ";base64")) {
    return absl::InvalidArgumentError("is a data URL without ';base64,'");
  }
  FACET_RETURN_IF_ERROR(CheckMediaType(header.substr(0, header.find(';'))));
  absl::string_view data = rest.substr(comma + 1);
  std::string unescaped;
  if (data.find('%') != absl::string_view::npos) {
    FACET_ASSIGN_OR_RETURN(unescaped, PercentDecode(data));
    data = unescaped;
  }
  std::string bytes;
  if (!absl::Base64Unescape(data, &bytes)) {
    return absl::InvalidArgumentError("is a data URL whose data is not valid base64");
  }
  if (bytes.empty()) return absl::InvalidArgumentError("is a data URL without data");
  return bytes;
}

absl::Status CheckMediaType(absl::string_view content_type) {
  const std::string type = absl::AsciiStrToLower(
      absl::StripAsciiWhitespace(content_type.substr(0, content_type.find(';'))));
  for (const char* const family : {"image/", "audio/", "video/"}) {
    if (absl::StartsWith(type, family)) return absl::OkStatus();
  }
  for (const char* const other : {"", "application/octet-stream", "binary/octet-stream",
                                  "application/ogg", "application/mp4"}) {
    if (type == other) return absl::OkStatus();
  }
  // Of the caller's or a server's making: no more of it than a type can have.
  const bool printable = std::all_of(type.begin(), type.end(), absl::ascii_isgraph);
  return absl::InvalidArgumentError(absl::StrCat(
      "is of type '", printable ? type.substr(0, 60) : "?", "'; image, audio or video is needed"));
}

}  // namespace facet
