#include "model/tokenizer/vocabulary.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace facet {

void Vocabulary::Reserve(size_t pieces, size_t bytes) {
  text_.reserve(bytes);
  pieces_.reserve(pieces);
  size_t slots = 64;
  while (slots < 2 * pieces) slots *= 2;
  if (slots > slots_.size()) Grow(slots);
}

size_t Vocabulary::SlotOf(absl::string_view piece) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = absl::Hash<absl::string_view>()(piece) & mask;
  while (slots_[slot] != 0 && Text(pieces_[slots_[slot] - 1]) != piece) slot = (slot + 1) & mask;
  return slot;
}

void Vocabulary::Grow(size_t slots) {
  slots_.assign(slots, 0);
  for (uint32_t i = 0; i < pieces_.size(); ++i) slots_[SlotOf(Text(pieces_[i]))] = i + 1;
}

absl::Status Vocabulary::Add(absl::string_view piece, int32_t id) {
  if (2 * (pieces_.size() + 1) > slots_.size()) Grow(std::max<size_t>(64, 2 * slots_.size()));
  const size_t slot = SlotOf(piece);
  if (slots_[slot] != 0) {
    return absl::InvalidArgumentError(absl::StrCat("tokenizer file: piece ", QuotePiece(piece),
                                                   " appears twice, with ids ",
                                                   pieces_[slots_[slot] - 1].id, " and ", id));
  }
  pieces_.push_back({static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(piece.size()), id});
  text_.append(piece.data(), piece.size());
  slots_[slot] = static_cast<uint32_t>(pieces_.size());
  return absl::OkStatus();
}

absl::Status Vocabulary::Seal() {
  constexpr uint32_t kNobody = 0xFFFFFFFF;
  std::vector<uint32_t> by_id(pieces_.size(), kNobody);
  for (uint32_t i = 0; i < pieces_.size(); ++i) {
    const int32_t id = pieces_[i].id;
    if (id < 0 || static_cast<size_t>(id) >= pieces_.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tokenizer file: piece ", QuotePiece(Text(pieces_[i])), " has id ", id, "; ",
          pieces_.size(), " pieces must have the ids 0 to ", pieces_.size() - 1, " without holes"));
    }
    if (by_id[id] != kNobody) {
      return absl::InvalidArgumentError(absl::StrCat("tokenizer file: id ", id, " is given to ",
                                                     QuotePiece(Text(pieces_[by_id[id]])),
                                                     " and to ", QuotePiece(Text(pieces_[i]))));
    }
    by_id[id] = i;
  }
  std::vector<Piece> sorted(pieces_.size());
  for (const Piece& piece : pieces_) sorted[piece.id] = piece;
  for (uint32_t& slot : slots_) {
    if (slot != 0) slot = static_cast<uint32_t>(pieces_[slot - 1].id) + 1;
  }
  pieces_ = std::move(sorted);
  return absl::OkStatus();
}

std::optional<int32_t> Vocabulary::Find(absl::string_view piece) const {
  if (slots_.empty()) return std::nullopt;
  const uint32_t index = slots_[SlotOf(piece)];
  if (index == 0) return std::nullopt;
  return pieces_[index - 1].id;
}

std::string QuotePiece(absl::string_view piece) {
  size_t shown = std::min<size_t>(piece.size(), 60);
  const auto inside_code_point = [piece](size_t at) {
    return at < piece.size() && (static_cast<uint8_t>(piece[at]) & 0xC0) == 0x80;
  };
  while (shown > 0 && inside_code_point(shown)) --shown;
  std::string text = absl::StrCat("\"", absl::Utf8SafeCHexEscape(piece.substr(0, shown)), "\"");
  if (shown < piece.size()) absl::StrAppend(&text, "..");
  return text;
}

}  // namespace facet
