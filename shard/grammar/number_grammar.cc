#include "shard/grammar/number_grammar.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace facet {
namespace {

constexpr int64_t kLargest = 9'999'999'999'999'999;

std::string Digit(char low, char high) {
  return low == high ? absl::StrCat("\"", std::string(1, low), "\"")
                     : absl::StrCat("[", std::string(1, low), "-", std::string(1, high), "]");
}

// Digit strings of one length between low and high.
void SameLength(absl::string_view low, absl::string_view high, const std::string& prefix,
                std::vector<std::string>* out) {
  if (low.empty()) {
    out->push_back(prefix);
    return;
  }
  const auto with = [&](const std::string& part) {
    return prefix.empty() ? part : absl::StrCat(prefix, " ", part);
  };
  const bool from_zero = low.find_first_not_of('0') == absl::string_view::npos;
  const bool to_nine = high.find_first_not_of('9') == absl::string_view::npos;
  if (from_zero && to_nine) {
    out->push_back(with(absl::StrCat("[0-9]{", low.size(), "}")));
    return;
  }
  if (low[0] == high[0]) {
    SameLength(low.substr(1), high.substr(1), with(Digit(low[0], low[0])), out);
    return;
  }
  const std::string nines(low.size() - 1, '9'), zeros(low.size() - 1, '0');
  char first = low[0], last = high[0];
  if (low.substr(1) != zeros) {
    SameLength(low.substr(1), nines, with(Digit(first, first)), out);
    ++first;
  }
  const bool cut_high = high.substr(1) != nines;
  if (cut_high) --last;
  if (first <= last) {
    std::string middle = Digit(first, last);
    if (!zeros.empty()) absl::StrAppend(&middle, " [0-9]{", zeros.size(), "}");
    out->push_back(with(middle));
  }
  if (cut_high) SameLength(zeros, high.substr(1), with(Digit(high[0], high[0])), out);
}

// 0 <= low <= high.
void NonNegative(int64_t low, int64_t high, const std::string& prefix,
                 std::vector<std::string>* out) {
  while (true) {
    const std::string from = absl::StrCat(low);
    int64_t end = 9;
    for (size_t i = 1; i < from.size(); ++i) end = end * 10 + 9;
    SameLength(from, absl::StrCat(std::min(end, high)), prefix, out);
    if (end >= high) return;
    low = end + 1;
  }
}

// The integers of a closed range.
std::string Closed(int64_t low, int64_t high) {
  std::vector<std::string> choices;
  if (low < 0) NonNegative(std::max<int64_t>(1, -high), -low, "\"-\"", &choices);
  if (high >= 0) NonNegative(std::max<int64_t>(0, low), high, "", &choices);
  return absl::StrCat("(", absl::StrJoin(choices, " | "), ")");
}

std::string Magnitudes(int64_t low, int64_t high, const char* sign) {
  std::vector<std::string> choices;
  NonNegative(low, high, sign, &choices);
  return absl::StrCat("(", absl::StrJoin(choices, " | "), ")");
}

}  // namespace

std::string IntegerEbnf(const IntegerRange& range) {
  if (!range.low && !range.high) return "\"-\"? (\"0\" | [1-9] [0-9]{0,15})";
  return Closed(range.low.value_or(-kLargest), range.high.value_or(kLargest));
}

std::string NumberEbnf(const IntegerRange& integers, const IntegerRange& decimals) {
  if (!integers.low && !integers.high && !decimals.low && !decimals.high) {
    return "\"-\"? (\"0\" | [1-9] [0-9]{0,15}) (\".\" [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?";
  }
  // Six decimals that are not all zero, of at most nine digits before the point: exact enough in a
  // double not to round up to the next integer.
  constexpr int64_t kLargestWithFraction = 999'999'999;
  const int64_t low = decimals.low.value_or(-kLargest), high = decimals.high.value_or(kLargest);
  const std::string fraction = "\".\" [0-9]{0,5} [1-9]";
  std::vector<std::string> choices;
  if (!integers.Empty()) choices.push_back(IntegerEbnf(integers));
  const int64_t from = std::max<int64_t>(0, low), to = std::min(high - 1, kLargestWithFraction);
  if (from <= to) choices.push_back(absl::StrCat(Magnitudes(from, to, ""), " ", fraction));
  // -(n + f) with low <= -(n + 1) and -n <= high.
  const int64_t from_minus = std::max<int64_t>(0, -high);
  const int64_t to_minus = std::min(-low - 1, kLargestWithFraction);
  if (from_minus <= to_minus) {
    choices.push_back(absl::StrCat(Magnitudes(from_minus, to_minus, "\"-\""), " ", fraction));
  }
  if (choices.empty()) return "";
  return absl::StrCat("(", absl::StrJoin(choices, " | "), ")");
}

}  // namespace facet
