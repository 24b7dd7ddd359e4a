#ifndef FACET_MODEL_TOKENIZER_ADDED_TOKENS_H_
#define FACET_MODEL_TOKENIZER_ADDED_TOKENS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace facet {

// Where special tokens may stand.
struct SpecialTokenRule {
  bool allowed = false;
  // Not where they would overlap one of these byte ranges [begin, end): ascending, disjoint.
  absl::Span<const std::pair<size_t, size_t>> forbidden;
};

// Finds the added tokens of a tokenizer literally in a text: leftmost first, the longest of those
// that begin at one place. A trie, so the time does not depend on the number of tokens.
// Thread-safety: after the last Add any number of threads may search.
class AddedTokenMatcher {
 public:
  struct Match {
    size_t begin, end;  // bytes of the text
    int32_t id;
  };

  AddedTokenMatcher() { root_.fill(kNone); }

  // `content` must not be empty. A content that is there already gets the new id.
  void Add(absl::string_view content, int32_t id, bool special);

  // Whether there is anything to search for.
  bool Empty(const SpecialTokenRule& rule) const {
    return !has_plain_ && !(has_special_ && rule.allowed);
  }

  // The next token in text[from, to) that is not special or that `rule` permits. Consecutive
  // calls over one text must ascend: each drops the ranges of `rule` that lie behind it.
  std::optional<Match> Next(absl::string_view text, size_t from, size_t to,
                            SpecialTokenRule* rule) const;

 private:
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  struct Node {
    uint8_t byte;
    bool special = false;
    int32_t id = -1;  // of the token that ends here, or -1
    uint32_t first_child = kNone, next_sibling = kNone;
  };

  uint32_t Child(uint32_t node, uint8_t byte) const;
  // The longest permitted token at `begin`, if any.
  std::optional<Match> LongestAt(absl::string_view text, size_t begin, size_t to,
                                 const SpecialTokenRule& rule) const;

  std::array<uint32_t, 256> root_;  // the first level, by byte
  std::vector<Node> nodes_;
  bool has_plain_ = false, has_special_ = false;
};

}  // namespace facet

#endif  // FACET_MODEL_TOKENIZER_ADDED_TOKENS_H_
