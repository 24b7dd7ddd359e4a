#ifndef FACET_SHARD_GRAMMAR_NUMBER_GRAMMAR_H_
#define FACET_SHARD_GRAMMAR_NUMBER_GRAMMAR_H_

// Numbers as EBNF expressions.

#include <cstdint>
#include <optional>
#include <string>

namespace facet {

// Limits of what a bounded number's grammar says exactly.
inline constexpr int64_t kLargestNumberBound = 1'000'000'000'000'000;

// Both ends belong to the range; nullopt: open.
struct IntegerRange {
  std::optional<int64_t> low;
  std::optional<int64_t> high;
  bool Empty() const { return low && high && *low > *high; }
};

// Decimal integers of the range, without leading zeros; an open end reaches numbers of 16 digits.
// The range must not be empty.
std::string IntegerEbnf(const IntegerRange& range);

// The integers of one range and decimals strictly between neighbouring integers of the other; with
// all ends open also exponents. Empty where there is no such number. A bound with a fraction thus
// narrows to the next integer within.
std::string NumberEbnf(const IntegerRange& integers, const IntegerRange& decimals);

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_NUMBER_GRAMMAR_H_
