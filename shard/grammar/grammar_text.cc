#include "shard/grammar/grammar_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace facet {
namespace {

constexpr uint32_t kLastCodePoint = 0x10FFFF;

std::string EbnfCodePoint(uint32_t code_point) { return absl::StrFormat("\\U%08x", code_point); }

bool Contains(const CodePointSet& set, uint32_t code_point) {
  for (const auto& [first, last] : set) {
    if (first <= code_point && code_point <= last) return true;
  }
  return false;
}

}  // namespace

CodePointSet Normalized(CodePointSet set) {
  std::sort(set.begin(), set.end());
  CodePointSet merged;
  for (const auto& [first, last] : set) {
    if (!merged.empty() && first <= merged.back().second + 1) {
      merged.back().second = std::max(merged.back().second, last);
    } else {
      merged.push_back({first, last});
    }
  }
  return Intersection(merged, {{1, 0xD7FF}, {0xE000, kLastCodePoint}});
}

CodePointSet Complement(const CodePointSet& set) {
  CodePointSet result;
  uint32_t next = 0;
  for (const auto& [first, last] : Normalized(set)) {
    if (next < first) result.push_back({next, first - 1});
    next = last + 1;
  }
  if (next <= kLastCodePoint) result.push_back({next, kLastCodePoint});
  return Normalized(std::move(result));
}

CodePointSet Intersection(const CodePointSet& a, const CodePointSet& b) {
  CodePointSet result;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const uint32_t first = std::max(a[i].first, b[j].first);
    const uint32_t last = std::min(a[i].second, b[j].second);
    if (first <= last) result.push_back({first, last});
    if (a[i].second < b[j].second) {
      ++i;
    } else {
      ++j;
    }
  }
  return result;
}

std::string EbnfLiteral(absl::string_view utf8) {
  std::string out = "\"";
  for (const char c : utf8) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      absl::StrAppend(&out, "\\", absl::string_view(&c, 1));
    } else if (byte < 0x20 || byte == 0x7F) {
      absl::StrAppendFormat(&out, "\\u%04x", byte);
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

std::string EbnfClass(const CodePointSet& set) {
  if (set.empty()) return "";
  std::string out = "[";
  for (const auto& [first, last] : set) {
    absl::StrAppend(&out, EbnfCodePoint(first));
    if (first != last) absl::StrAppend(&out, "-", EbnfCodePoint(last));
  }
  return out + "]";
}

std::string EbnfStringCharacter(const CodePointSet& set, ValueSyntax syntax) {
  if (syntax == ValueSyntax::kCall) return EbnfClass(set);
  static const CodePointSet& plain =
      *new CodePointSet{{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0xD7FF}, {0xE000, kLastCodePoint}};
  std::vector<std::string> choices;
  if (std::string c = EbnfClass(Intersection(set, plain)); !c.empty()) choices.push_back(c);
  constexpr std::pair<char, const char*> kEscapes[] = {
      {'"', "\\\""}, {'\\', "\\\\"}, {'\t', "\\t"}, {'\n', "\\n"}, {'\r', "\\r"}};
  for (const auto& [character, escape] : kEscapes) {
    if (Contains(set, static_cast<uint32_t>(character))) choices.push_back(EbnfLiteral(escape));
  }
  if (choices.size() == 1) return choices[0];
  return choices.empty() ? "" : absl::StrCat("(", absl::StrJoin(choices, " | "), ")");
}

}  // namespace facet
