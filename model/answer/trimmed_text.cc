#include "model/answer/trimmed_text.h"

#include <cstddef>

namespace facet {
namespace {

constexpr absl::string_view kWideSpaces[] = {
    "\u0085", "\u00A0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
    "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200A",
    "\u2028", "\u2029", "\u202F", "\u205F", "\u3000",
};

bool IsAsciiSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool IsAscii(char c) { return (c & 0x80) == 0; }

// Bytes of the white space character that `text` begins (ends) with; 0 if it does not.
size_t LeadingSpace(absl::string_view text) {
  if (IsAscii(text.front())) return IsAsciiSpace(text.front()) ? 1 : 0;
  for (const absl::string_view space : kWideSpaces) {
    if (text.substr(0, space.size()) == space) return space.size();
  }
  return 0;
}
size_t TrailingSpace(absl::string_view text) {
  if (IsAscii(text.back())) return IsAsciiSpace(text.back()) ? 1 : 0;
  for (const absl::string_view space : kWideSpaces) {
    if (text.size() >= space.size() && text.substr(text.size() - space.size()) == space) {
      return space.size();
    }
  }
  return 0;
}

}  // namespace

void TrimmedText::Append(absl::string_view piece, std::string* out) {
  if (!started_) {
    while (!piece.empty()) {
      const size_t space = LeadingSpace(piece);
      if (space == 0) break;
      piece.remove_prefix(space);
    }
    if (piece.empty()) return;
    started_ = true;
  }
  size_t visible = piece.size();
  while (visible > 0) {
    const size_t space = TrailingSpace(piece.substr(0, visible));
    if (space == 0) break;
    visible -= space;
  }
  if (visible > 0) {
    out->append(held_);
    held_.clear();
    out->append(piece.data(), visible);
  }
  held_.append(piece.data() + visible, piece.size() - visible);
}

}  // namespace facet
