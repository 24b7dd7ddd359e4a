#include "model/chat/text_rules.h"

#include <charconv>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "model/tokenizer/utf8.h"

namespace facet {
namespace {

constexpr absl::string_view kOpen = "<|channel>";
constexpr absl::string_view kClose = "<channel|>";

bool IsSpace(uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

// The code point that `text` ends with; 0 where it is not UTF-8, which is no space.
Utf8Step LastStep(absl::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && text.size() - begin < 4 && (text[begin] & 0xC0) == 0x80) --begin;
  const Utf8Step step = StepUtf8(text.substr(begin));
  if (step.kind == Utf8Kind::kWhole && begin + step.size == text.size()) return step;
  return {Utf8Kind::kInvalid, 1, 0};
}

}  // namespace

absl::string_view Trim(absl::string_view text) {
  while (!text.empty()) {
    const Utf8Step step = StepUtf8(text);
    if (step.kind != Utf8Kind::kWhole || !IsSpace(step.code_point)) break;
    text.remove_prefix(step.size);
  }
  while (!text.empty()) {
    const Utf8Step step = LastStep(text);
    if (step.kind != Utf8Kind::kWhole || !IsSpace(step.code_point)) break;
    text.remove_suffix(step.size);
  }
  return text;
}

std::string StripThoughts(absl::string_view text) {
  std::string kept;
  for (bool more = true; more;) {
    const size_t close = text.find(kClose);
    more = close != text.npos;
    const absl::string_view piece = text.substr(0, close);
    absl::StrAppend(&kept, piece.substr(0, piece.find(kOpen)));
    if (more) text.remove_prefix(close + kClose.size());
  }
  return std::string(Trim(kept));
}

std::string FormatDouble(double value) {
  char buffer[32];
  const auto end =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific).ptr;
  const absl::string_view scientific(buffer, end - buffer);  // "-d.ddde+XX", "-de-XX"
  const size_t e = scientific.find('e');
  const int exponent = std::atoi(std::string(scientific.substr(e + 1)).c_str());
  if (exponent < -4 || exponent >= 16) return std::string(scientific);
  const bool negative = scientific[0] == '-';
  std::string digits;
  for (const char c : scientific.substr(negative, e - negative)) {
    if (c != '.') digits += c;
  }
  if (exponent < 0) {
    digits.insert(0, std::string(-exponent, '0'));
    digits.insert(1, ".");
  } else {
    const size_t point = exponent + 1;
    if (digits.size() <= point) digits.append(point + 1 - digits.size(), '0');
    digits.insert(point, ".");
  }
  return absl::StrCat(negative ? "-" : "", digits);
}

}  // namespace facet
