#include "services/serving/byte_size.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace facet {
namespace {

constexpr std::pair<const char*, int> kUnits[] = {
    {"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}};  // and bits to shift

}  // namespace

bool AbslParseFlag(absl::string_view text, ByteSize* size, std::string* error) {
  absl::string_view number = absl::StripAsciiWhitespace(text);
  double factor = 1;
  for (const auto& [unit, shift] : kUnits) {
    if (!absl::EndsWith(number, unit)) continue;
    number = absl::StripAsciiWhitespace(number.substr(0, number.size() - 3));
    factor = static_cast<double>(int64_t{1} << shift);
    break;
  }
  double value = 0;
  if (!absl::SimpleAtod(number, &value) || !(value >= 0) || value * factor > 0x1p62) {
    *error = "want a number of bytes, such as 1073741824, 512MiB or 1.5GiB";
    return false;
  }
  size->bytes = static_cast<int64_t>(value * factor);
  return true;
}

std::string AbslUnparseFlag(const ByteSize& size) {
  for (const auto& [unit, shift] : kUnits) {
    if (size.bytes != 0 && size.bytes % (int64_t{1} << shift) == 0) {
      return absl::StrCat(size.bytes >> shift, unit);
    }
  }
  return absl::StrCat(size.bytes);
}

}  // namespace facet
