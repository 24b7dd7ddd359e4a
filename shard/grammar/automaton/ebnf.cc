#include "shard/grammar/automaton/ebnf.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/tokenizer/utf8.h"

namespace facet {
namespace {

using Kind = EbnfExpression::Kind;

void AppendUtf8(uint32_t c, std::string* out) {
  if (c < 0x80) {
    out->push_back(static_cast<char>(c));
    return;
  }
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  constexpr uint32_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
  out->push_back(static_cast<char>(kLead[more] | c >> 6 * more));
  for (int i = more; i-- > 0;) out->push_back(static_cast<char>(0x80 | (c >> 6 * i & 0x3F)));
}

bool IsNameByte(char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.'; }

class EbnfParser {
 public:
  EbnfParser(absl::string_view text, const EbnfLimits& limits) : text_(text), limits_(limits) {}

  absl::StatusOr<EbnfGrammar> Parse() {
    if (text_.size() > limits_.max_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("grammar of ", text_.size(), " bytes; the limit is ", limits_.max_bytes));
    }
    FACET_RETURN_IF_ERROR(FindRules());
    if (rules_.empty()) return Error("a rule (name ::= ..) is expected");
    const auto root = rules_.find("root");
    if (root == rules_.end()) return Error("no rule is named root");
    grammar_.root = root->second;
    at_ = 0;
    for (size_t i = 0; i < grammar_.rules.size(); ++i) {
      Skip();
      Name();
      Skip();
      Take("::=");
      FACET_ASSIGN_OR_RETURN(grammar_.rules[i].body, Choice(0));
      if (!AtEnd() && !AtRule()) return Error("unexpected", /*shows=*/true);
    }
    return std::move(grammar_);
  }

 private:
  absl::Status Error(absl::string_view what, bool shows = false) const {
    const auto end = text_.begin() + static_cast<ptrdiff_t>(std::min(at_, text_.size()));
    const auto line = 1 + std::count(text_.begin(), end, '\n');
    return absl::InvalidArgumentError(
        absl::StrCat("grammar, line ", line, ": ", what,
                     shows ? absl::StrCat(" '", text_.substr(at_, 1), "'") : ""));
  }

  bool AtEnd() const { return at_ >= text_.size(); }
  bool Ahead(absl::string_view token) const { return text_.substr(at_, token.size()) == token; }
  bool Take(absl::string_view token) {
    if (!Ahead(token)) return false;
    at_ += token.size();
    return true;
  }
  void Skip() {
    while (!AtEnd() && (absl::ascii_isspace(text_[at_]) || text_[at_] == '#')) {
      if (text_[at_] == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else {
        ++at_;
      }
    }
  }
  absl::string_view Name() {
    const size_t begin = at_;
    if (!AtEnd() && (absl::ascii_isalpha(text_[at_]) || text_[at_] == '_')) {
      while (!AtEnd() && IsNameByte(text_[at_])) ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }
  // Whether a name and ::= follow.
  bool AtRule() {
    const size_t begin = at_;
    bool found = !Name().empty();
    if (found) {
      Skip();
      found = Ahead("::=");
    }
    at_ = begin;
    return found;
  }

  // The names first: a rule may be used before it is written. Also finds what no rule begins with.
  absl::Status FindRules() {
    while (true) {
      Skip();
      if (AtEnd()) return absl::OkStatus();
      if (AtRule()) {
        const std::string name(Name());
        const auto id = static_cast<int32_t>(grammar_.rules.size());
        if (id >= limits_.max_rules) {
          return Error(absl::StrCat("more than ", limits_.max_rules, " rules"));
        }
        if (!rules_.try_emplace(name, id).second) {
          return Error(absl::StrCat("a second rule ", name));
        }
        grammar_.rules.push_back({name, {}});
        Skip();
        Take("::=");
      } else if (rules_.empty()) {
        return Error("a rule (name ::= ..) is expected");
      } else if (Ahead("\"") || Ahead("[")) {
        FACET_RETURN_IF_ERROR(SkipQuoted(Ahead("[") ? ']' : '"'));
      } else if (Name().empty()) {
        ++at_;
      }
    }
  }
  absl::Status SkipQuoted(char end) {
    const size_t begin = at_;
    for (++at_; !AtEnd() && text_[at_] != end; ++at_) {
      if (text_[at_] == '\\') ++at_;
      if (!AtEnd() && text_[at_] == '\n') break;
    }
    if (AtEnd() || text_[at_] != end) {
      at_ = begin;
      return Error(end == ']' ? "an open class" : "an open literal");
    }
    ++at_;
    return absl::OkStatus();
  }

  absl::StatusOr<EbnfExpression> Choice(int depth) {
    if (depth > limits_.max_nesting) return Error("groups nested too deep");
    EbnfExpression choice{.kind = Kind::kChoice};
    do {
      FACET_ASSIGN_OR_RETURN(EbnfExpression part, Sequence(depth));
      choice.parts.push_back(std::move(part));
      Skip();
    } while (Take("|"));
    if (choice.parts.size() == 1) {
      EbnfExpression only = std::move(choice.parts[0]);
      return only;
    }
    return choice;
  }

  absl::StatusOr<EbnfExpression> Sequence(int depth) {
    EbnfExpression sequence{.kind = Kind::kSequence};
    for (Skip(); !AtEnd() && !Ahead("|") && !Ahead(")") && !AtRule(); Skip()) {
      FACET_ASSIGN_OR_RETURN(EbnfExpression element, Element(depth));
      FACET_RETURN_IF_ERROR(Quantifiers(&element));
      sequence.parts.push_back(std::move(element));
    }
    if (sequence.parts.empty()) return Error("an element is expected");
    if (sequence.parts.size() == 1) {
      EbnfExpression only = std::move(sequence.parts[0]);
      return only;
    }
    return sequence;
  }

  absl::StatusOr<EbnfExpression> Element(int depth) {
    if (Ahead("(=")) return Error("look-ahead is not supported");
    if (Take("(")) {
      FACET_ASSIGN_OR_RETURN(EbnfExpression group, Choice(depth + 1));
      Skip();
      if (!Take(")")) return Error("missing )");
      return group;
    }
    if (Ahead("\"")) return Literal();
    if (Ahead("[")) return Class();
    const std::string name(Name());
    if (name.empty()) return Error("unexpected", /*shows=*/true);
    if (Ahead("(") && !rules_.contains(name)) {
      for (const char* word :
           {"TagDispatch", "Token", "ExcludeToken", "TokenTagDispatch", "Regex", "Substring"}) {
        if (name == word && name == "Token" && limits_.tokens) return Token();
        if (name == word) return Error(absl::StrCat(name, " is reserved"));
      }
    }
    const auto found = rules_.find(name);
    if (found == rules_.end()) return Error(absl::StrCat("rule ", name, " is not defined"));
    return EbnfExpression{.kind = Kind::kRule, .number = found->second};
  }

  absl::StatusOr<EbnfExpression> Token() {
    Take("(");
    const auto id = Number();
    if (!id || !Take(")")) return Error("Token(id) is expected");
    return EbnfExpression{.kind = Kind::kToken, .number = static_cast<int32_t>(*id)};
  }

  absl::Status Quantifiers(EbnfExpression* element) {
    while (!AtEnd()) {
      int64_t low = 0, high = -1;
      if (Take("*")) {
      } else if (Take("+")) {
        low = 1;
      } else if (Take("?")) {
        high = 1;
      } else if (Ahead("{")) {
        FACET_RETURN_IF_ERROR(Bounds(&low, &high));
      } else {
        return absl::OkStatus();
      }
      // The group keeps its nesting: a chain of quantifiers is as deep as it is long.
      if (++quantified_ > limits_.max_nesting) return Error("too many quantifiers in a row");
      EbnfExpression repeat{.kind = Kind::kRepeat, .low = low, .high = high};
      repeat.parts.push_back(std::move(*element));
      *element = std::move(repeat);
      if (AtEnd() || !(Ahead("*") || Ahead("+") || Ahead("?") || Ahead("{"))) quantified_ = 0;
    }
    return absl::OkStatus();
  }

  std::optional<int64_t> Number() {
    const size_t begin = at_;
    while (!AtEnd() && absl::ascii_isdigit(text_[at_])) ++at_;
    int64_t number = 0;
    if (!absl::SimpleAtoi(text_.substr(begin, at_ - begin), &number)) return std::nullopt;
    return number;
  }

  absl::Status Bounds(int64_t* low, int64_t* high) {
    Take("{");
    const auto spaces = [this] {
      while (Take(" ")) {
      }
    };
    spaces();
    const auto from = Number();
    spaces();
    auto to = from;
    if (Take(",")) {
      spaces();
      to = Ahead("}") ? std::optional<int64_t>(-1) : Number();
      spaces();
    }
    if (!Take("}") || (!from && to.value_or(-1) < 0))
      return Error("a repetition {2}, {2,} or {2,5} is expected");
    *low = from.value_or(0);
    *high = to.value_or(-1);
    if (!to || *low > kMaxRepetitions || *high > kMaxRepetitions) {
      return Error(absl::StrCat("a repetition may be at most ", kMaxRepetitions));
    }
    if (*high >= 0 && *high < *low) return Error("a repetition with its bounds in the wrong order");
    return absl::OkStatus();
  }

  absl::StatusOr<uint32_t> CodePoint() {
    const Utf8Step step = StepUtf8(text_.substr(at_));
    if (step.kind != Utf8Kind::kWhole) return Error("invalid UTF-8");
    at_ += static_cast<size_t>(step.size);
    return step.code_point;
  }

  absl::StatusOr<uint32_t> Escaped() {
    if (!Take("\\")) return CodePoint();
    if (AtEnd()) return Error("a lone backslash");
    const char name = text_[at_];
    constexpr std::pair<char, uint32_t> kControls[] = {
        {'n', '\n'}, {'r', '\r'}, {'t', '\t'}, {'b', '\b'}, {'f', '\f'}, {'v', '\v'}, {'0', 0}};
    for (const auto& [letter, code_point] : kControls) {
      if (name != letter) continue;
      ++at_;
      return code_point;
    }
    if (name == 'x' || name == 'u' || name == 'U') {
      const size_t digits = name == 'x' ? 2 : name == 'u' ? 4 : 8;
      const absl::string_view hex = text_.substr(at_ + 1, digits);
      uint32_t value = 0;
      if (hex.size() < digits || !std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit) ||
          !absl::SimpleHexAtoi(hex, &value) || value > kLastCodePoint) {
        return Error("a bad hexadecimal escape");
      }
      at_ += 1 + digits;
      return value;
    }
    if (absl::ascii_isalnum(name))
      return Error(absl::StrCat("unknown escape \\", text_.substr(at_, 1)));
    return CodePoint();
  }

  absl::StatusOr<EbnfExpression> Literal() {
    Take("\"");
    EbnfExpression literal;
    while (!AtEnd() && !Ahead("\"")) {
      FACET_ASSIGN_OR_RETURN(const uint32_t code_point, Escaped());
      if (code_point == 0 || (code_point >= 0xD800 && code_point <= 0xDFFF)) {
        return Error("a code point that no text holds");
      }
      AppendUtf8(code_point, &literal.text);
    }
    if (!Take("\"")) return Error("an open literal");
    return literal;
  }

  absl::StatusOr<EbnfExpression> Class() {
    Take("[");
    const bool negated = Take("^");
    CodePointSet set;
    while (!AtEnd() && !Ahead("]")) {
      FACET_ASSIGN_OR_RETURN(const uint32_t first, Escaped());
      uint32_t last = first;
      if (Ahead("-") && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        Take("-");
        FACET_ASSIGN_OR_RETURN(last, Escaped());
        if (last < first) return Error("a range that is none");
      }
      set.push_back({first, last});
    }
    if (!Take("]")) return Error("an open class");
    return EbnfExpression{.kind = Kind::kClass,
                          .set = negated ? Complement(set) : Normalized(std::move(set))};
  }

  const absl::string_view text_;
  const EbnfLimits limits_;
  size_t at_ = 0;
  int quantified_ = 0;
  absl::flat_hash_map<std::string, int32_t> rules_;
  EbnfGrammar grammar_;
};

}  // namespace

absl::StatusOr<EbnfGrammar> ParseEbnf(absl::string_view text, const EbnfLimits& limits) {
  return EbnfParser(text, limits).Parse();
}

}  // namespace facet
