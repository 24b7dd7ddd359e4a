#ifndef FACET_MODEL_TOKENIZER_CODE_POINTS_H_
#define FACET_MODEL_TOKENIZER_CODE_POINTS_H_

#include <cstdint>
#include <vector>

namespace facet {

// Code point -> id of the piece that is this code point alone. Two levels of 256: a few hundred
// KiB for all scripts of a large vocabulary.
class CodePointTable {
 public:
  static constexpr int32_t kNone = -1;

  CodePointTable() : page_of_(kPages, 0), ids_(256, kNone) {}

  void Set(uint32_t code_point, int32_t id) {
    uint16_t& page = page_of_[code_point >> 8];
    if (page == 0) {
      page = static_cast<uint16_t>(ids_.size() / 256);
      ids_.resize(ids_.size() + 256, kNone);
    }
    ids_[page * 256 + (code_point & 0xFF)] = id;
  }
  int32_t Find(uint32_t code_point) const {
    return ids_[page_of_[code_point >> 8] * 256 + (code_point & 0xFF)];
  }

 private:
  static constexpr int kPages = 0x110000 / 256;
  std::vector<uint16_t> page_of_;  // page 0 is the empty one
  std::vector<int32_t> ids_;
};

// A set of pairs of neighbouring code points that may say "yes" for a pair that is not in it, and
// never "no" for one that is.
//
// It holds the pairs that stand inside some piece. Where two neighbours of a text are not in it,
// no piece can lie across, so the text may be cut there without changing an id.
class NeighbourSet {
 public:
  // What stands for the space in pieces; to this set the two are one.
  static constexpr uint32_t kSpaceOfPieces = 0x2581;

  NeighbourSet() : ascii_(128 * 128 / 64), hashed_(kHashedBits / 64) {}

  void Add(uint32_t left, uint32_t right) {
    const Place place = PlaceOf(left, right);
    (place.ascii ? ascii_ : hashed_)[place.bit / 64] |= uint64_t{1} << (place.bit % 64);
  }
  bool MayHold(uint32_t left, uint32_t right) const {
    const Place place = PlaceOf(left, right);
    return (place.ascii ? ascii_ : hashed_)[place.bit / 64] >> (place.bit % 64) & 1;
  }

  // The same for a left one of ASCII and a byte, quicker; false if the byte is not ASCII.
  bool HoldsAscii(uint32_t left, uint8_t right) const {
    return right < 0x80 && (ascii_[left * 2 + right / 64] >> (right % 64) & 1);
  }

 private:
  static constexpr uint32_t kHashedBits = 1u << 22;  // 512 KiB
  struct Place {
    bool ascii;
    uint32_t bit;
  };
  // It shares the space's row and column of the small exact table, which then serves all text in
  // ASCII.
  static uint32_t Fold(uint32_t code_point) {
    return code_point == kSpaceOfPieces ? ' ' : code_point;
  }
  static Place PlaceOf(uint32_t left, uint32_t right) {
    left = Fold(left);
    right = Fold(right);
    if ((left | right) < 128) return {true, left * 128 + right};
    const uint64_t key = uint64_t{left} << 21 | right;
    return {false, static_cast<uint32_t>((key * 0x9E3779B97F4A7C15u) >> (64 - 22))};
  }

  std::vector<uint64_t> ascii_;
  std::vector<uint64_t> hashed_;
};

}  // namespace facet

#endif  // FACET_MODEL_TOKENIZER_CODE_POINTS_H_
