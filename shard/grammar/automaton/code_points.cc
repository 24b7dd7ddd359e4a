#include "shard/grammar/automaton/code_points.h"

#include <algorithm>

namespace facet {
namespace {

int EncodedBytes(uint32_t code_point) {
  return code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
}

uint8_t LeadByte(uint32_t code_point, int bytes) {
  if (bytes == 1) return static_cast<uint8_t>(code_point);
  const uint32_t marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
  return static_cast<uint8_t>(marks[bytes] | code_point >> 6 * (bytes - 1));
}

// Code points of `bytes` more bytes each, the first of them a continuation byte unless `lead`.
// [first, last] share everything above those bytes.
void Split(uint32_t first, uint32_t last, int bytes, bool lead, std::vector<ByteRange>* prefix,
           std::vector<std::vector<ByteRange>>* out) {
  const auto byte_of = [&](uint32_t code_point) {
    return lead ? LeadByte(code_point, bytes)
                : static_cast<uint8_t>(0x80 | (code_point >> 6 * (bytes - 1) & 0x3F));
  };
  const uint32_t block = uint32_t{1} << 6 * (bytes - 1);  // code points of one such byte
  while (first <= last) {
    // As many whole blocks as there are, else one that is cut.
    const uint32_t end_of_block = first | (block - 1);
    uint32_t to = std::min(end_of_block, last);
    const bool whole = (first & (block - 1)) == 0 && to == end_of_block;
    if (whole) to = std::max(to, ((last + 1) & ~(block - 1)) - 1);
    prefix->push_back({byte_of(first), byte_of(to)});
    if (bytes == 1) {
      out->push_back(*prefix);
    } else if (whole) {
      out->push_back(*prefix);
      out->back().insert(out->back().end(), static_cast<size_t>(bytes - 1), ByteRange{0x80, 0xBF});
    } else {
      Split(first, to, bytes - 1, /*lead=*/false, prefix, out);
    }
    prefix->pop_back();
    first = to + 1;
  }
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

bool Contains(const CodePointSet& set, uint32_t code_point) {
  return std::any_of(set.begin(), set.end(), [code_point](const auto& range) {
    return range.first <= code_point && code_point <= range.second;
  });
}

std::vector<std::vector<ByteRange>> Utf8Ranges(const CodePointSet& set) {
  std::vector<std::vector<ByteRange>> out;
  constexpr uint32_t kLastOfLength[] = {0x7F, 0x7FF, 0xFFFF, kLastCodePoint};
  for (auto [first, last] : set) {
    while (first <= last) {
      const int bytes = EncodedBytes(first);
      const uint32_t to = std::min(last, kLastOfLength[bytes - 1]);
      std::vector<ByteRange> prefix;
      Split(first, to, bytes, /*lead=*/true, &prefix, &out);
      first = to + 1;
    }
  }
  return out;
}

}  // namespace facet
