#ifndef FACET_MODEL_TOKENIZER_MERGE_TABLE_H_
#define FACET_MODEL_TOKENIZER_MERGE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "model/tokenizer/huge_page_allocator.h"

namespace facet {

// (left id, right id) -> how early the pair merges and what into. Open addressing; 8 bytes a slot
// and at most half of them used, since nearly every look-up of an encoder is here and most find
// nothing.
class MergeTable {
 public:
  static constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();
  static constexpr int kIdBits = 20, kRankBits = 24;
  static constexpr size_t kMaxIds = size_t{1} << kIdBits;             // ids are below
  static constexpr size_t kMaxMerges = (size_t{1} << kRankBits) - 1;  // so no slot equals kFree

  // At most kMaxMerges.
  explicit MergeTable(size_t merges) {
    int bits = 4;
    while ((size_t{1} << bits) < 2 * merges) ++bits;
    shift_ = 64 - bits;
    slots_.resize(size_t{1} << bits, kFree);
    merged_.resize(merges, -1);
  }

  // A rule; its rank, from 0, is below the number of merges, and of no other pair. A pair that is
  // there already gets the new values.
  void Set(int32_t left, int32_t right, uint32_t rank, int32_t merged) {
    const uint64_t key = Key(left, right);
    size_t i = Home(key);
    while (slots_[i] != kFree && slots_[i] >> kRankBits != key) i = Next(i);
    slots_[i] = key << kRankBits | rank;
    merged_[rank] = merged;
  }

  // Lower ranks merge first; kNoRank: the pair does not merge.
  uint32_t FindRank(int32_t left, int32_t right) const {
    const uint64_t key = Key(left, right);
    for (size_t i = Home(key); slots_[i] != kFree; i = Next(i)) {
      if (slots_[i] >> kRankBits == key) return static_cast<uint32_t>(slots_[i] & kMaxRank);
    }
    return kNoRank;
  }
  // What the pair of this rank merges into.
  int32_t merged(uint32_t rank) const { return merged_[rank]; }

 private:
  static constexpr uint64_t kMaxRank = (uint64_t{1} << kRankBits) - 1;
  static constexpr uint64_t kFree = ~uint64_t{0};

  static uint64_t Key(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << kIdBits | static_cast<uint32_t>(right);
  }
  size_t Home(uint64_t key) const { return (key * 0x9E3779B97F4A7C15u) >> shift_; }
  size_t Next(size_t i) const { return (i + 1) & (slots_.size() - 1); }

  int shift_;
  std::vector<uint64_t, HugePageAllocator<uint64_t>> slots_;  // left, right, rank
  std::vector<int32_t> merged_;                               // by rank
};

}  // namespace facet

#endif  // FACET_MODEL_TOKENIZER_MERGE_TABLE_H_
