#include "services/gateway/api_keys.h"

#include <algorithm>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace facet {
namespace {

bool IsVisible(char c) { return c > ' ' && c < '\x7f'; }

// Looks at every byte, whatever the first ones are.
bool EqualInConstantTime(absl::string_view a, absl::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  return difference == 0;
}

}  // namespace

absl::StatusOr<ApiKeys> ApiKeys::Load(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("api_keys_file: cannot read ", path));
  ApiKeys keys;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    const absl::string_view key = absl::StripAsciiWhitespace(line);
    if (key.empty() || key.front() == '#') continue;
    if (!std::all_of(key.begin(), key.end(), IsVisible)) {
      return absl::InvalidArgumentError(absl::StrCat("api_keys_file: line ", number, " of ", path,
                                                     " is not one key of visible ASCII"));
    }
    keys.keys_.emplace_back(key);
  }
  if (keys.keys_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("api_keys_file: no key in ", path));
  }
  return keys;
}

absl::Status ApiKeys::Check(absl::string_view authorization) const {
  if (keys_.empty()) return absl::OkStatus();
  if (!absl::StartsWithIgnoreCase(authorization, "bearer ")) {
    return absl::UnauthenticatedError(
        "no API key: the header 'authorization: Bearer <key>' is missing");
  }
  const absl::string_view shown = absl::StripAsciiWhitespace(authorization.substr(7));
  bool known = false;
  for (const std::string& key : keys_) known |= EqualInConstantTime(key, shown);
  if (!known) return absl::UnauthenticatedError("the API key is not one of this server's");
  return absl::OkStatus();
}

}  // namespace facet
