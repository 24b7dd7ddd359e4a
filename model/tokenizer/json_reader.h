#ifndef FACET_MODEL_TOKENIZER_JSON_READER_H_
#define FACET_MODEL_TOKENIZER_JSON_READER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace facet {

// The content of a tokenizer.json, read but not yet understood. The two large tables of its model
// (hundreds of thousands of strings) are kept as plain text; a tree of JSON values for them would
// take several times the memory and the time.
struct RawTokenizerFile {
  struct Piece {
    uint32_t offset, size;  // in `vocab_text`
    int32_t id;
  };
  // The two parts of a merge rule lie one after the other in `merge_text`.
  struct Merge {
    uint32_t offset, left_size, right_size;
  };

  nlohmann::json rest;  // the whole file but model.vocab and model.merges
  bool has_vocab = false;
  bool has_merges = false;
  std::string vocab_text;
  std::vector<Piece> vocab;  // in the order of the file
  std::string merge_text;
  std::vector<Merge> merges;  // in the order of the file, which is their rank

  absl::string_view PieceText(const Piece& piece) const {
    return absl::string_view(vocab_text).substr(piece.offset, piece.size);
  }
  absl::string_view LeftText(const Merge& merge) const {
    return absl::string_view(merge_text).substr(merge.offset, merge.left_size);
  }
  absl::string_view RightText(const Merge& merge) const {
    return absl::string_view(merge_text).substr(merge.offset + merge.left_size, merge.right_size);
  }
  absl::string_view MergedText(const Merge& merge) const {
    return absl::string_view(merge_text).substr(merge.offset, merge.left_size + merge.right_size);
  }
};

// Parses the text of a tokenizer.json. Merges may be "a b" strings or ["a", "b"] pairs.
// InvalidArgument, with the place, for anything that is not sound JSON of this shape or exceeds a
// limit below.
absl::StatusOr<RawTokenizerFile> ReadTokenizerJson(absl::string_view json);

inline constexpr size_t kMaxTokenizerFileBytes = size_t{256} << 20;
inline constexpr size_t kMaxPieces = size_t{1} << 21;
inline constexpr size_t kMaxPieceBytes = 4096;
inline constexpr size_t kMaxMerges = size_t{1} << 23;
inline constexpr size_t kMaxOtherJsonValues = size_t{1} << 22;
inline constexpr int kMaxJsonDepth = 32;

}  // namespace facet

#endif  // FACET_MODEL_TOKENIZER_JSON_READER_H_
