#include "shard/grammar/ebnf_check.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace facet {
namespace {

constexpr size_t kMaxBytes = 32 << 10;
constexpr int kMaxRules = 200;
constexpr size_t kMaxNesting = 32;
constexpr int64_t kMaxElements = 2000;

// A lexer that only counts.
class EbnfScanner {
 public:
  explicit EbnfScanner(absl::string_view text) : text_(text) {}

  absl::Status Scan() {
    while (at_ < text_.size()) FACET_RETURN_IF_ERROR(Next());
    if (open_.size() > 1) return Error("missing )");
    return absl::OkStatus();
  }

 private:
  absl::Status Error(absl::string_view what) const {
    const auto line =
        1 + std::count(text_.begin(), text_.begin() + std::min(at_, text_.size()), '\n');
    return absl::InvalidArgumentError(absl::StrCat("grammar, line ", line, ": ", what));
  }

  absl::Status Next() {
    const char c = text_[at_];
    if (c == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
      return absl::OkStatus();
    }
    if (c == '"' || c == '[') return Quoted(c == '"' ? '"' : ']');
    if (absl::ascii_isalpha(c) || c == '_') return Word();
    ++at_;
    if (c == '(') {
      if (open_.size() > kMaxNesting) return Error("groups nested too deep");
      open_.push_back(0);
    } else if (c == ')') {
      if (open_.size() < 2) return Error("unmatched )");
      const int64_t size = std::max<int64_t>(1, open_.back());
      open_.pop_back();
      return Element(size);
    } else if (c == '{') {
      return Repetition();
    } else if (c == '\0') {
      return Error("a zero byte");
    } else if (absl::StartsWith(text_.substr(at_ - 1), "::=") && ++rules_ > kMaxRules) {
      return Error(absl::StrCat("more than ", kMaxRules, " rules"));
    }
    return absl::OkStatus();
  }

  absl::Status Element(int64_t size) {
    last_ = size;
    open_.back() += size;
    if (open_.back() > kMaxElements) return Error("the repetitions are too large");
    return absl::OkStatus();
  }

  absl::Status Quoted(char end) {
    for (++at_; at_ < text_.size() && text_[at_] != end; ++at_) {
      if (text_[at_] == '\\') ++at_;
      if (at_ < text_.size() && text_[at_] == '\n') return Error("a literal over a line's end");
    }
    if (at_ >= text_.size()) return Error("an open literal");
    ++at_;
    return Element(1);
  }

  absl::Status Word() {
    const size_t begin = at_;
    while (at_ < text_.size() && (absl::ascii_isalnum(text_[at_]) || text_[at_] == '_' ||
                                  text_[at_] == '-' || text_[at_] == '.')) {
      ++at_;
    }
    const absl::string_view word = text_.substr(begin, at_ - begin);
    const absl::string_view next = text_.substr(at_);
    for (const char* name :
         {"TagDispatch", "Token", "ExcludeToken", "TokenTagDispatch", "Regex", "Substring"}) {
      if (word == name) return Error(absl::StrCat(word, " is reserved"));
    }
    if (absl::StartsWith(next, "[")) return Error("a [ directly after a name");
    return Element(1);
  }

  absl::Status Repetition() {
    const size_t end = text_.find('}', at_);
    if (end == absl::string_view::npos) return Error("missing }");
    int64_t times = 1, number = 0;
    absl::string_view inside = text_.substr(at_, end - at_);
    const size_t comma = inside.find(',');
    for (absl::string_view part :
         {inside.substr(0, comma),
          comma == absl::string_view::npos ? absl::string_view() : inside.substr(comma + 1)}) {
      part = absl::StripAsciiWhitespace(part);
      if (part.empty()) continue;
      if (!absl::SimpleAtoi(part, &number) || number < 0 || number > kMaxElements) {
        return Error(absl::StrCat("a repetition may be at most ", kMaxElements));
      }
      times = std::max(times, number);
    }
    at_ = end + 1;
    return Element(last_ * (times - 1));
  }

  const absl::string_view text_;
  size_t at_ = 0;
  int rules_ = 0;
  int64_t last_ = 1;                 // elements of what stands before the place
  std::vector<int64_t> open_ = {0};  // elements so far in each open group, outermost first
};

}  // namespace

absl::Status CheckCallersEbnf(absl::string_view ebnf) {
  if (ebnf.size() > kMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("grammar of ", ebnf.size(), " bytes; the limit is ", kMaxBytes));
  }
  return EbnfScanner(ebnf).Scan();
}

}  // namespace facet
