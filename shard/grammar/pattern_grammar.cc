#include "shard/grammar/pattern_grammar.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "model/tokenizer/utf8.h"

namespace facet {
namespace {

constexpr size_t kMaxPatternBytes = 4096;
constexpr int kMaxNesting = 32;
constexpr int64_t kMaxExpanded = 5000;
// Characters before a pattern that is not anchored.
constexpr int kMaxBefore = 200;

// What an escape matches in every dialect, and what it matches in at least one: a negated class
// must leave out the latter.
struct ClassPair {
  CodePointSet surely;
  CodePointSet perhaps;
};

const CodePointSet& NonAscii() {
  static const CodePointSet& set = *new CodePointSet{{0x80, 0x10FFFF}};
  return set;
}

CodePointSet Union(CodePointSet a, const CodePointSet& b) {
  a.insert(a.end(), b.begin(), b.end());
  return Normalized(std::move(a));
}

ClassPair NegatedPair(const ClassPair& pair) {
  return {Complement(pair.perhaps), Complement(pair.surely)};
}

// d, w, s and their capitals.
std::optional<ClassPair> NamedClass(char name) {
  ClassPair pair;
  switch (absl::ascii_tolower(name)) {
    case 'd':
      pair.surely = {{'0', '9'}};
      pair.perhaps = Union(pair.surely, NonAscii());
      break;
    case 'w':
      pair.surely = Normalized({{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}});
      pair.perhaps = Union(pair.surely, NonAscii());
      break;
    case 's':
      pair.surely = Normalized({{'\t', '\r'}, {' ', ' '}});
      pair.perhaps = Union(pair.surely, {{0x1C, 0x1F},
                                         {0x85, 0x85},
                                         {0xA0, 0xA0},
                                         {0x1680, 0x1680},
                                         {0x2000, 0x200A},
                                         {0x2028, 0x2029},
                                         {0x202F, 0x202F},
                                         {0x205F, 0x205F},
                                         {0x3000, 0x3000},
                                         {0xFEFF, 0xFEFF}});
      break;
    default:
      return std::nullopt;
  }
  return absl::ascii_isupper(name) ? NegatedPair(pair) : pair;
}

// "Any number" as a length: more than a limit can be, and small enough to add and multiply.
constexpr int64_t kEndless = 1'000'000'000;

// An expression, how many characters it comes to when its repetitions are written out, and how many
// a text of it has.
struct Piece {
  std::string ebnf;
  int64_t expanded = 0;
  int64_t shortest = 0, longest = 0;
};

// `atom` from `low` to `high` times, or kEndless.
struct Part {
  Piece atom;
  int64_t low = 1, high = 1;

  int64_t Shortest() const { return atom.shortest * low; }
  int64_t Longest() const {
    return atom.longest == 0 ? 0 : std::min(kEndless, atom.longest * std::min(high, kEndless));
  }
  std::string Ebnf() const {
    if (low == 1 && high == 1) return atom.ebnf;
    return absl::StrCat(atom.ebnf, "{", low, ",", high >= kEndless ? "" : absl::StrCat(high), "}");
  }
};

class PatternParser {
 public:
  PatternParser(absl::string_view text, const PatternOptions& options)
      : text_(text), options_(options) {}

  absl::StatusOr<Piece> Parse() {
    if (text_.size() > kMaxPatternBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("pattern of ", text_.size(), " bytes; the limit is ", kMaxPatternBytes));
    }
    FACET_ASSIGN_OR_RETURN(Piece piece, Alternatives(0));
    if (at_ < text_.size()) return Error("unmatched )");
    return piece;
  }

 private:
  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("pattern: ", what, " at byte ", at_));
  }
  bool Ahead(absl::string_view token) const { return text_.substr(at_, token.size()) == token; }
  bool Take(absl::string_view token) {
    if (!Ahead(token)) return false;
    at_ += token.size();
    return true;
  }
  bool AtEnd() const { return at_ >= text_.size(); }

  std::string OneOf(const CodePointSet& set) const {
    return options_.raw ? EbnfClass(set) : EbnfStringCharacter(set, options_.syntax);
  }
  absl::StatusOr<Piece> Character(const CodePointSet& set) const {
    std::string ebnf = OneOf(set);
    if (ebnf.empty()) return Error("a class without any character that may be written");
    return Piece{std::move(ebnf), 1, 1, 1};
  }
  Part AnyText(int64_t times) const { return {{OneOf(Complement({})), 1, 1, 1}, 0, times}; }

  absl::StatusOr<Piece> Alternatives(int depth) {
    if (depth > kMaxNesting) return Error("groups nested too deep");
    std::vector<std::string> choices;
    Piece all{"", 0, kEndless, 0};
    do {
      FACET_ASSIGN_OR_RETURN(Piece choice, Sequence(depth));
      choices.push_back(choice.ebnf);
      all.expanded += choice.expanded;
      all.shortest = std::min(all.shortest, choice.shortest);
      all.longest = std::max(all.longest, choice.longest);
    } while (Take("|"));
    all.ebnf = absl::StrCat("(", absl::StrJoin(choices, " | "), ")");
    return all;
  }

  absl::StatusOr<Piece> Sequence(int depth) {
    const bool outermost = depth == 0;
    std::vector<Part> parts;
    if (outermost && !Take("^") && !options_.whole) parts.push_back(AnyText(kMaxBefore));
    bool closed = false;
    int64_t expanded = 0;
    while (!AtEnd() && !Ahead("|") && !Ahead(")")) {
      if (outermost && Take("$")) {
        closed = true;
        if (!AtEnd() && !Ahead("|")) return Error("text after $");
        break;
      }
      FACET_ASSIGN_OR_RETURN(Part part, Quantified(depth));
      const int64_t times = part.high >= kEndless ? part.low : part.high;
      expanded += part.atom.expanded * std::max<int64_t>(1, times);
      if (expanded > kMaxExpanded) return Error("repetitions too large");
      parts.push_back(std::move(part));
    }
    if (outermost && !closed && !options_.whole) parts.push_back(AnyText(kEndless));
    if (outermost) FACET_RETURN_IF_ERROR(HoldToLength(&parts));
    Piece all{"", expanded, 0, 0};
    for (const Part& part : parts) {
      absl::StrAppend(&all.ebnf, all.ebnf.empty() ? "" : " ", part.Ebnf());
      all.shortest += part.Shortest();
      all.longest = std::min(kEndless, all.longest + part.Longest());
    }
    if (parts.empty()) all.ebnf = "\"\"";
    return all;
  }

  // Narrows the part that varies, so that the whole has a length within the options' bounds.
  absl::Status HoldToLength(std::vector<Part>* parts) const {
    const int64_t least = options_.min_length, most = options_.max_length.value_or(kEndless);
    int64_t shortest = 0, longest = 0;
    std::vector<Part*> varying;
    for (Part& part : *parts) {
      shortest += part.Shortest();
      longest = std::min(kEndless, longest + part.Longest());
      if (part.Shortest() != part.Longest()) varying.push_back(&part);
    }
    if (least <= shortest && longest <= most) return absl::OkStatus();
    if (longest < least || shortest > most) {
      return absl::InvalidArgumentError(
          "pattern: it matches no text between minLength and maxLength");
    }
    if (varying.size() != 1 || varying[0]->atom.shortest != varying[0]->atom.longest) {
      return absl::InvalidArgumentError(
          "pattern: together with minLength or maxLength only with one part of variable length");
    }
    Part& part = *varying[0];
    const int64_t unit = part.atom.shortest, others = shortest - part.Shortest();
    part.low = std::max(part.low, (std::max<int64_t>(0, least - others) + unit - 1) / unit);
    if (most < kEndless) part.high = std::min(part.high, (most - others) / unit);
    if (part.low > part.high) {
      return absl::InvalidArgumentError(
          "pattern: it matches no text between minLength and maxLength");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Part> Quantified(int depth) {
    FACET_ASSIGN_OR_RETURN(Piece atom, Atom(depth));
    Part part{std::move(atom)};
    if (Take("*")) {
      part.low = 0;
      part.high = kEndless;
    } else if (Take("+")) {
      part.high = kEndless;
    } else if (Take("?")) {
      part.low = 0;
    } else if (Ahead("{")) {
      FACET_RETURN_IF_ERROR(Bounds(&part));
    } else {
      return part;
    }
    Take("?");  // a lazy quantifier matches the same texts
    if (Ahead("*") || Ahead("+") || Ahead("?") || Ahead("{")) return Error("repeated quantifier");
    return part;
  }

  std::optional<int64_t> Number() {
    const size_t begin = at_;
    while (!AtEnd() && absl::ascii_isdigit(text_[at_])) ++at_;
    int64_t number = 0;
    if (begin == at_ || !absl::SimpleAtoi(text_.substr(begin, at_ - begin), &number)) {
      return std::nullopt;
    }
    return number;
  }

  absl::Status Bounds(Part* part) {
    Take("{");
    const auto low = Number();
    if (!low) return Error("a literal { must be escaped; expected a number");
    std::optional<int64_t> high = low;
    if (Take(",")) high = Ahead("}") ? std::optional(kEndless) : Number();
    if (!high || !Take("}")) return Error("expected }");
    if (*high < *low) return Error("repetition with its bounds in the wrong order");
    const int64_t times = std::max<int64_t>(1, *high >= kEndless ? *low : *high);
    if (times > kMaxExpanded || part->atom.expanded * times > kMaxExpanded) {
      return Error("repetitions too large");
    }
    part->low = *low;
    part->high = *high;
    return absl::OkStatus();
  }

  absl::StatusOr<Piece> Atom(int depth) {
    if (Ahead("(?") && !Ahead("(?:")) return Error("look-around and named groups are unsupported");
    if (Take("(?:") || Take("(")) {
      FACET_ASSIGN_OR_RETURN(Piece piece, Alternatives(depth + 1));
      if (!Take(")")) return Error("missing )");
      return piece;
    }
    if (Ahead("[")) return Class();
    if (Take(".")) return Character(Complement({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}));
    if (Ahead("\\")) {
      FACET_ASSIGN_OR_RETURN(ClassPair pair, Escape());
      return Character(pair.surely);
    }
    if (Ahead("^") || Ahead("$")) return Error("an anchor in the middle is unsupported");
    for (const char* c : {"*", "+", "?", "{", "}", "]"}) {
      if (Ahead(c)) return Error(absl::StrCat("unescaped ", c));
    }
    FACET_ASSIGN_OR_RETURN(uint32_t code_point, CodePoint());
    return Character(Normalized({{code_point, code_point}}));
  }

  absl::StatusOr<uint32_t> CodePoint() {
    const Utf8Step step = StepUtf8(text_.substr(at_));
    if (step.kind != Utf8Kind::kWhole) return Error("invalid UTF-8");
    at_ += static_cast<size_t>(step.size);
    return step.code_point;
  }

  // After a backslash.
  absl::StatusOr<ClassPair> Escape() {
    Take("\\");
    if (AtEnd()) return Error("a lone backslash");
    const char name = text_[at_];
    if (auto pair = NamedClass(name)) {
      ++at_;
      return *pair;
    }
    const auto one = [](uint32_t c) {
      const CodePointSet set = Normalized({{c, c}});
      return ClassPair{set, set};
    };
    constexpr std::pair<char, uint32_t> kControls[] = {
        {'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'f', '\f'}, {'v', '\v'}};
    for (const auto& [letter, code_point] : kControls) {
      if (name == letter) {
        ++at_;
        return one(code_point);
      }
    }
    if (name == 'x' || name == 'u') {
      const size_t digits = name == 'x' ? 2 : 4;
      uint32_t value = 0;
      const absl::string_view hex = text_.substr(at_ + 1, digits);
      if (hex.size() < digits || !std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit) ||
          !absl::SimpleHexAtoi(hex, &value)) {
        return Error("a bad hexadecimal escape");
      }
      at_ += 1 + digits;
      return one(value);
    }
    if (absl::ascii_isalnum(name))
      return Error(absl::StrCat("unsupported escape \\", std::string(1, name)));
    FACET_ASSIGN_OR_RETURN(uint32_t code_point, CodePoint());
    return one(code_point);
  }

  absl::StatusOr<ClassPair> ClassMember() {
    if (Ahead("\\")) return Escape();
    FACET_ASSIGN_OR_RETURN(uint32_t code_point, CodePoint());
    const CodePointSet set = Normalized({{code_point, code_point}});
    return ClassPair{set, set};
  }

  absl::StatusOr<Piece> Class() {
    Take("[");
    const bool negated = Take("^");
    ClassPair all;
    while (!AtEnd() && !Ahead("]")) {
      FACET_ASSIGN_OR_RETURN(ClassPair member, ClassMember());
      if (Ahead("-") && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        Take("-");
        FACET_ASSIGN_OR_RETURN(ClassPair last, ClassMember());
        const bool single = member.surely.size() == 1 && last.surely.size() == 1 &&
                            member.surely == member.perhaps && last.surely == last.perhaps &&
                            member.surely[0].first == member.surely[0].second &&
                            last.surely[0].first == last.surely[0].second;
        if (!single || member.surely[0].first > last.surely[0].first) {
          return Error("a range that is none");
        }
        member.surely = Normalized({{member.surely[0].first, last.surely[0].first}});
        member.perhaps = member.surely;
      }
      all.surely = Union(all.surely, member.surely);
      all.perhaps = Union(all.perhaps, member.perhaps);
    }
    if (!Take("]")) return Error("missing ]");
    return Character(negated ? Complement(all.perhaps) : all.surely);
  }

  const absl::string_view text_;
  const PatternOptions options_;
  size_t at_ = 0;
};

}  // namespace

absl::StatusOr<std::string> PatternToEbnf(absl::string_view pattern,
                                          const PatternOptions& options) {
  FACET_ASSIGN_OR_RETURN(Piece piece, PatternParser(pattern, options).Parse());
  return piece.ebnf;
}

}  // namespace facet
