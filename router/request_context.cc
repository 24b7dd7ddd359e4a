#include "router/request_context.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/str_format.h"
#include "router/request_validator.h"

namespace facet {
namespace {

constexpr size_t kMaxRequestIdBytes = 128;
constexpr size_t kTraceparentBytes = 55;

bool IsVisible(char c) { return c > ' ' && c < '\x7f'; }
bool IsLowerHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool IsHexField(absl::string_view field) {
  return std::all_of(field.begin(), field.end(), IsLowerHex);
}

bool IsHexId(absl::string_view field) {
  return IsHexField(field) && field.find_first_not_of('0') != absl::string_view::npos;
}

}  // namespace

std::string RequestIdOrNew(absl::string_view from_caller) {
  if (!from_caller.empty() && from_caller.size() <= kMaxRequestIdBytes &&
      std::all_of(from_caller.begin(), from_caller.end(), IsVisible)) {
    return std::string(from_caller);
  }
  return absl::StrFormat("%016x%016x", RequestValidator::RandomSeed(),
                         RequestValidator::RandomSeed());
}

bool IsTraceparent(absl::string_view text) {
  if (text.size() < kTraceparentBytes) return false;
  const absl::string_view version = text.substr(0, 2);
  if (!IsHexField(version) || version == "ff") return false;
  if (text.size() > kTraceparentBytes && (version == "00" || text[kTraceparentBytes] != '-')) {
    return false;
  }
  return text[2] == '-' && IsHexId(text.substr(3, 32)) && text[35] == '-' &&
         IsHexId(text.substr(36, 16)) && text[52] == '-' && IsHexField(text.substr(53, 2));
}

absl::string_view TraceId(absl::string_view traceparent) {
  return traceparent.size() < kTraceparentBytes ? absl::string_view() : traceparent.substr(3, 32);
}

}  // namespace facet
