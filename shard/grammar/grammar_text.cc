#include "shard/grammar/grammar_text.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace facet {
namespace {

std::string EbnfCodePoint(uint32_t code_point) { return absl::StrFormat("\\U%08x", code_point); }

}  // namespace

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
