#ifndef FACET_MODEL_TOKENIZER_MERGE_TABLE_H_
#define FACET_MODEL_TOKENIZER_MERGE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace facet {

// (left id, right id) -> what the pair merges into and how early. Open addressing; 16 bytes a
// slot and at most half of them used, since nearly every look-up of an encoder is here and most
// find nothing.
class MergeTable {
 public:
  static constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();
  struct Merge {
    uint32_t rank = kNoRank;  // lower merges first; kNoRank: the pair does not merge
    int32_t merged = -1;
  };

  explicit MergeTable(size_t merges) {
    int bits = 4;
    while ((size_t{1} << bits) < 2 * merges) ++bits;
    shift_ = 64 - bits;
    slots_.resize(size_t{1} << bits);
  }

  // At most as many as the constructor was told. A pair that is there already gets the new values.
  void Set(int32_t left, int32_t right, Merge merge) {
    const uint64_t key = Key(left, right);
    size_t i = Home(key);
    while (slots_[i].merge.rank != kNoRank && slots_[i].key != key) i = Next(i);
    slots_[i] = {key, merge};
  }

  Merge Find(int32_t left, int32_t right) const {
    const uint64_t key = Key(left, right);
    size_t i = Home(key);
    while (slots_[i].merge.rank != kNoRank) {
      if (slots_[i].key == key) return slots_[i].merge;
      i = Next(i);
    }
    return {};
  }

 private:
  struct Slot {
    uint64_t key = 0;
    Merge merge;
  };

  static uint64_t Key(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
  }
  size_t Home(uint64_t key) const {
    key ^= key >> 29;
    return (key * 0x9E3779B97F4A7C15u) >> shift_;
  }
  size_t Next(size_t i) const { return (i + 1) & (slots_.size() - 1); }

  int shift_;
  std::vector<Slot> slots_;
};

}  // namespace facet

#endif  // FACET_MODEL_TOKENIZER_MERGE_TABLE_H_
