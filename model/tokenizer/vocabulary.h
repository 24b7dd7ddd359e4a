#ifndef FACET_MODEL_TOKENIZER_VOCABULARY_H_
#define FACET_MODEL_TOKENIZER_VOCABULARY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace facet {

// The pieces of a tokenizer: id -> piece and piece -> id. Built once, then immutable.
//
// All texts lie in one string; the look-up by piece is a table of ids with open addressing (a
// hash map of strings would take five times the memory: 262,144 pieces take 6 MB here).
class Vocabulary {
 public:
  Vocabulary() = default;
  // Takes room for about so many pieces and bytes.
  void Reserve(size_t pieces, size_t bytes);

  // InvalidArgument if the piece is there already. Ids may come in any order.
  absl::Status Add(absl::string_view piece, int32_t id);
  // To be called after the last Add. InvalidArgument unless the ids are 0 .. size() - 1, each
  // given once.
  absl::Status Seal();

  int size() const { return static_cast<int>(pieces_.size()); }
  // The piece with an id in [0, size()); after Seal.
  absl::string_view piece(int32_t id) const { return Text(pieces_[id]); }
  // At any time.
  std::optional<int32_t> Find(absl::string_view piece) const;

 private:
  struct Piece {
    uint32_t offset, size;
    int32_t id;
  };
  absl::string_view Text(const Piece& piece) const {
    return absl::string_view(text_).substr(piece.offset, piece.size);
  }
  // The place in `slots_` where a piece is, or would be put.
  size_t SlotOf(absl::string_view piece) const;
  void Grow(size_t slots);

  std::string text_;
  std::vector<Piece> pieces_;    // in the order of Add; after Seal by id
  std::vector<uint32_t> slots_;  // indices into pieces_, plus 1; 0: free. A power of two
};

// For messages: a piece with unusual characters escaped, cut to a readable length.
std::string QuotePiece(absl::string_view piece);

}  // namespace facet

#endif  // FACET_MODEL_TOKENIZER_VOCABULARY_H_
