#include "model/answer/json_text.h"

#include <charconv>
#include <cstddef>
#include <system_error>

#include "absl/strings/ascii.h"
#include "nlohmann/json.hpp"

namespace facet {
namespace {

void AppendEscape(char c, std::string* out) {
  switch (c) {
    case '"':
      out->append("\\\"");
      break;
    case '\\':
      out->append("\\\\");
      break;
    case '\n':
      out->append("\\n");
      break;
    case '\r':
      out->append("\\r");
      break;
    case '\t':
      out->append("\\t");
      break;
    default: {
      constexpr char kHex[] = "0123456789abcdef";
      out->append("\\u00");
      out->push_back(kHex[c >> 4]);
      out->push_back(kHex[c & 15]);
    }
  }
}

size_t SkipDigits(absl::string_view text, size_t at) {
  while (at < text.size() && absl::ascii_isdigit(static_cast<unsigned char>(text[at]))) ++at;
  return at;
}

// The end of the part of a number that begins at `at`; npos if it has no digit.
size_t RequireDigits(absl::string_view text, size_t at) {
  const size_t end = SkipDigits(text, at);
  return end == at ? absl::string_view::npos : end;
}

// Whether the quote at `at` is preceded by an odd number of backslashes.
bool IsEscaped(absl::string_view text, size_t at) {
  size_t backslashes = 0;
  while (backslashes < at && text[at - 1 - backslashes] == '\\') ++backslashes;
  return backslashes % 2 == 1;
}

}  // namespace

void AppendJsonEscaped(absl::string_view text, std::string* out) {
  size_t plain = 0;  // where the stretch without escapes begins
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20) continue;
    out->append(text.data() + plain, i - plain);
    AppendEscape(c, out);
    plain = i + 1;
  }
  out->append(text.data() + plain, text.size() - plain);
}

std::string JsonString(absl::string_view text) {
  std::string json = "\"";
  AppendJsonEscaped(text, &json);
  json.push_back('"');
  return json;
}

NumberKind JsonNumberKind(absl::string_view text) {
  constexpr size_t kNone = absl::string_view::npos;
  size_t at = !text.empty() && text[0] == '-' ? 1 : 0;
  const size_t first = at;
  at = RequireDigits(text, at);
  if (at == kNone || (text[first] == '0' && at > first + 1)) return NumberKind::kNone;
  NumberKind kind = NumberKind::kInteger;
  if (at < text.size() && text[at] == '.') {
    kind = NumberKind::kReal;
    at = RequireDigits(text, at + 1);
    if (at == kNone) return NumberKind::kNone;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    kind = NumberKind::kReal;
    if (++at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    at = RequireDigits(text, at);
    if (at == kNone) return NumberKind::kNone;
  }
  double value;
  const bool in_range =
      std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
  return at == text.size() && in_range ? kind : NumberKind::kNone;
}

bool UnquoteAscii(absl::string_view text, std::string* value) {
  if (text.size() < 2 || text.front() != '"' || text.back() != '"') return false;
  for (size_t i = 1; i + 1 < text.size(); ++i) {
    if (text[i] == '"' && !IsEscaped(text, i)) return false;
  }
  if (IsEscaped(text, text.size() - 1)) return false;
  const auto json = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_string()) {
    *value = json.get<std::string>();
  } else {
    *value = std::string(text.substr(1, text.size() - 2));
  }
  return true;
}

}  // namespace facet
