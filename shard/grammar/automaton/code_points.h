#ifndef FACET_SHARD_GRAMMAR_AUTOMATON_CODE_POINTS_H_
#define FACET_SHARD_GRAMMAR_AUTOMATON_CODE_POINTS_H_

// Sets of Unicode code points, and their bytes in UTF-8.

#include <cstdint>
#include <utility>
#include <vector>

namespace facet {

inline constexpr uint32_t kLastCodePoint = 0x10FFFF;

// Code points [first, last], ascending, neither overlapping nor adjacent.
using CodePointSet = std::vector<std::pair<uint32_t, uint32_t>>;

// Ascending, merged, without surrogates and U+0000, which no grammar lets through.
CodePointSet Normalized(CodePointSet set);
// All other code points.
CodePointSet Complement(const CodePointSet& set);
CodePointSet Intersection(const CodePointSet& a, const CodePointSet& b);
bool Contains(const CodePointSet& set, uint32_t code_point);

struct ByteRange {
  uint8_t low = 0, high = 0;
  auto operator<=>(const ByteRange&) const = default;
};

// Sequences of one to four byte ranges that together match the UTF-8 of the set's code points and
// nothing else. No two match the same bytes.
std::vector<std::vector<ByteRange>> Utf8Ranges(const CodePointSet& set);

}  // namespace facet

#endif  // FACET_SHARD_GRAMMAR_AUTOMATON_CODE_POINTS_H_
